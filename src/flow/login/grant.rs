//! The last write of a login: the session that is opened, or the refusal.

use super::{
    Decided, Fresh, Login, LoginOutcome, Need, failed, granted, new_password, open, seen_on,
    subject_event, temporary,
};
use crate::error::Result;
use crate::flow::revoke::Revocation;
use crate::flow::sweep::sweep_a_little;
use crate::record::audit::Written;
use crate::record::credential;
use crate::record::pending_step;
use crate::record::throttle;
use crate::record::user;
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind, of_device, reasons};
use crate::value::id::UserId;
use crate::value::refusal::LoginRefusal;

impl Login<'_> {
    /// Opens the session and writes what belongs to it, or refuses because of what changed since.
    pub(super) fn grant(
        &self,
        tx: &WriteTx<'_>,
        Decided { user, room, need, .. }: Decided,
        fresh: Option<&Fresh>,
        revocation: Option<&Revocation>,
        is_weak: bool,
    ) -> Result<Written<LoginOutcome>> {
        // What the login waited for is gone since, and so the new password was not hashed.
        if self.request.new_password.is_some() && fresh.is_none() {
            return self.refuse(tx, LoginRefusal::StepNotLive);
        }
        // A change was demanded since: the new password was not compared with the old one.
        if let Some(former) = fresh.and_then(|fresh| fresh.former.as_ref())
            && !former.is_current(tx, self.store.options())?
        {
            return self.refuse(tx, LoginRefusal::StepNotLive);
        }
        let codes = match self.use_up_factor(tx, &user, need, revocation.is_some())? {
            Ok(codes) => codes,
            Err(refusal) => return self.refuse(tx, refusal),
        };
        // No test fails without this: `decide` found it valid in the same transaction.
        if !temporary::use_up(tx, self.attempt, user.id)? {
            return self.refuse(tx, LoginRefusal::InvalidCredentials);
        }
        if let Some(Fresh { hash, .. }) = fresh {
            credential::set(tx, self.store.options(), user.id, hash.as_str(), false)?;
        }
        if let Some(revocation) = revocation {
            revocation.apply(tx)?;
        }
        if let Some(step) = self.attempt.step() {
            pending_step::complete(tx, step)?;
        }
        pending_step::delete_on_device(tx, user.id, self.attempt.subject.device)?;
        let kept = self.attempt.credential.as_ref().filter(|_| fresh.is_none() && !is_weak);
        if let Some(stored) = kept {
            credential::reseal(tx, self.store.options(), user.id, &stored.phc)?;
        }
        let opened = open(tx, self.store.options(), &self.opening(user.id, need), room)?;
        self.forgive(tx, user.id, need)?;
        let trust = self.request.trust.filter(|_| matches!(need, Need::Typed));
        let trusted_until = trust.map(|lifetime| tx.now() + lifetime);
        let is_new_device = seen_on(tx, user.id, self.attempt.subject.device, trusted_until)?;
        user::logged_in(tx, user.id)?;
        sweep_a_little(self.store, tx, user.id)?;
        let event = subject_event(EventKind::LoginGranted, &self.attempt.subject)
            .session(opened.id)
            .client_info(self.request.client_info.clone());
        let reason = match fresh {
            Some(_) => {
                let by_code = need == Need::Typed && self.request.has_recovery_code();
                Some(reasons::of_new_password(self.request.revoke_api_keys, by_code))
            }
            None => revocation.map(|_| reasons::SECOND_FACTOR_CHANGED),
        };
        let event = Event { reason, detail: of_device(is_new_device, trusted_until), ..event };
        let mut reply = granted(tx, self.store, user.id, opened)?;
        reply.recovery_codes = codes;
        // The password of a step is not known.
        if fresh.is_none() && self.attempt.step().is_none() {
            let password = &self.request.password;
            reply.password_advice = new_password::advice(tx, self.store, user.id, password)?;
        }
        Ok(Written::With(LoginOutcome::Granted(Box::new(reply)), event))
    }

    /// Forgives the failed attempts of the user. A password alone, on a trusted device, takes its
    /// own charge back and forgives none: a code is still to be guessed.
    fn forgive(&self, tx: &WriteTx<'_>, user: UserId, need: Need) -> Result<()> {
        match need {
            Need::Trusted => self.attempt.refund(tx),
            Need::Nothing | Need::Typed | Need::Missing(_) => {
                throttle::succeeded(tx, user, self.attempt.subject.device)
            }
        }
    }

    /// Records a refusal. The charge of a right password is taken back: it is no failed guess.
    pub(super) fn refuse(
        &self,
        tx: &WriteTx<'_>,
        refusal: LoginRefusal,
    ) -> Result<Written<LoginOutcome>> {
        let refusal = match refusal {
            LoginRefusal::InvalidCredentials => {
                failed(tx, self.attempt, self.request.client_info.as_ref())?;
                self.attempt.failed()
            }
            refusal => {
                self.attempt.refund(tx)?;
                refusal
            }
        };
        let event = subject_event(EventKind::LoginRefused, &self.attempt.subject)
            .client_info(self.request.client_info.clone())
            .refused(refusal.name());
        let event = match refusal {
            LoginRefusal::PasswordRejected(rule) => event.detail(rule.name()),
            _ => event,
        };
        Ok(Written::With(LoginOutcome::Refused(refusal), event))
    }
}
