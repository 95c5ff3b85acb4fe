//! The last write of a login: the session that is opened, or the refusal.

use super::second_factor::{Checked, use_up};
use super::{
    Decided, Fresh, Login, LoginOutcome, Need, failed, granted, new_password, open, seen_on,
    subject_event, temporary,
};
use crate::error::Result;
use crate::flow::revoke::Revocation;
use crate::flow::sweep::sweep_a_little;
use crate::record::audit::{self, Written};
use crate::record::credential;
use crate::record::device;
use crate::record::pending_step;
use crate::record::second_factor::CodeUse;
use crate::record::throttle;
use crate::record::user;
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind, of_device, reasons};
use crate::value::id::UserId;
use crate::value::refusal::LoginRefusal;
use crate::value::second_factor::TypedFactor;

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
        let typed = self.typed(need);
        // The factor is newer than the check, and the write did not begin as a revocation.
        if typed.is_some_and(TypedFactor::revokes) && revocation.is_none() {
            return self.refuse(tx, LoginRefusal::StepNotLive);
        }
        let used = typed
            .map(|typed| use_up(tx, self.store.options(), user.id, self.attempt.step(), typed));
        let codes = match used.transpose()? {
            None => None,
            Some(Checked::Right(codes)) => codes,
            Some(Checked::Not(found)) => return self.refuse_factor(tx, found),
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
        let reason = self.reason(need, fresh.is_some(), revocation.is_some());
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

    /// Why the login revoked the user's earlier credentials, if it did.
    fn reason(&self, need: Need, is_fresh: bool, revokes: bool) -> Option<&'static str> {
        if is_fresh {
            let by_code = need == Need::Typed && self.request.has_recovery_code();
            return Some(reasons::of_new_password(self.request.revoke_api_keys, by_code));
        }
        revokes.then_some(reasons::SECOND_FACTOR_CHANGED)
    }

    /// Forgives the failed attempts of the user. A password alone, on a trusted device, forgives
    /// those on the device: mistyped passwords, because a wrong code there ends its trust. A code
    /// that was guessed elsewhere stays counted.
    fn forgive(&self, tx: &WriteTx<'_>, user: UserId, need: Need) -> Result<()> {
        match need {
            Need::Trusted => {
                self.attempt.refund(tx)?;
                throttle::succeeded_on(tx, &self.attempt.subject)
            }
            Need::Nothing | Need::Typed | Need::Missing(_) => {
                throttle::succeeded(tx, user, self.attempt.subject.device)
            }
        }
    }

    /// Refuses a code that was not right beside the right password. A wrong one ends the trust of
    /// its device: the password alone, which forgives the failed attempts there, would give the
    /// guess away. One that was used before is no guess, and may come of a request that was sent
    /// twice. One that could not be compared is not charged.
    pub(super) fn refuse_factor(
        &self,
        tx: &WriteTx<'_>,
        found: CodeUse,
    ) -> Result<Written<LoginOutcome>> {
        let subject = &self.attempt.subject;
        if found == CodeUse::LacksKey {
            self.store.core().pending.counts.key_missing();
            self.attempt.refund(tx)?;
            return Ok(self.refused(self.attempt.failed(), None));
        }
        if found == CodeUse::Wrong
            && let Some((user, device)) = subject.user.zip(subject.device)
            && device::distrust(tx, user, device)?
        {
            let event = subject_event(EventKind::DeviceTrustRevoked, subject)
                .client_info(self.request.client_info.clone())
                .detail("wrong code");
            audit::append(tx, &event)?;
        }
        self.refuse(tx, LoginRefusal::InvalidCredentials)
    }

    /// Records a refusal. The charge of a right password is taken back: it is no failed guess.
    pub(super) fn refuse(
        &self,
        tx: &WriteTx<'_>,
        refusal: LoginRefusal,
    ) -> Result<Written<LoginOutcome>> {
        let detail = match refusal {
            LoginRefusal::PasswordRejected(rule) => Some(rule.name().to_owned()),
            _ => None,
        };
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
        Ok(self.refused(refusal, detail))
    }

    fn refused(&self, refusal: LoginRefusal, detail: Option<String>) -> Written<LoginOutcome> {
        let event = subject_event(EventKind::LoginRefused, &self.attempt.subject)
            .client_info(self.request.client_info.clone())
            .refused(refusal.name());
        Written::With(LoginOutcome::Refused(refusal), Event { detail, ..event })
    }
}
