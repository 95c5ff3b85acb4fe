//! Enrol an authenticator at the terminal, and reissue recovery codes.
//!
//! The calls of the library take the session of the user. The command opens one for it, which lives
//! for a quarter of an hour at most and is revoked at the end.

use std::time::Duration;

use gatepost::second_factors::{NewTotp, RecoveryCodes, TotpEnrolment};
use gatepost::sessions::{Assurance, OpenSession, StepDemand};
use gatepost::{CompleteLogin, DeviceId, LoginOutcome, Secret, Store, User};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::{code, no_factor, refused};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{note, picture};
use crate::{names, prompt};

const SESSION_LIVES: Duration = Duration::from_secs(900);
const FIRST: &str = "The code that the authenticator shows: ";
const NEXT: &str = "The next code, once it shows another one: ";

pub(super) fn enrol(context: &Context, user: &str) -> Result<()> {
    let user = names::user(&context.store, user)?;
    let name = &user.username;
    if context.store.second_factors().info(user.id)?.is_some() {
        return Err(Failure::new(
            Exit::Conflict,
            format!("{name} has a second factor"),
            "If it is lost, remove it first: gatepost factor reset USER",
        ));
    }
    context.confirm(&format!("Enrol a second factor for {name}, and revoke other sessions?"))?;
    let store = context.writing("factor.enrol")?;
    let device = DeviceId::random()?;
    let codes = match store.sessions().open(session(&user, &device))? {
        LoginOutcome::Granted(reply) => {
            let codes = enrol_in_session(store, &reply.session.token, &device);
            end_session(store, &user, &device);
            codes?.codes
        }
        LoginOutcome::Pending(step) if step.demand == StepDemand::Enrolment => {
            let factors = store.second_factors();
            let enrolment =
                factors.enrol_at_login(step.token.expose(), &device, NewTotp::new())?;
            show(&enrolment.done().map_err(refused)?)?;
            let (token, own) = (step.token.expose(), device.clone());
            let complete = CompleteLogin::with_enrolment(token, own, code(FIRST)?, code(NEXT)?);
            let reply = store.complete_login(complete)?.granted().map_err(refused)?;
            end_session(store, &user, &device);
            reply.recovery_codes.map(|codes| codes.codes).unwrap_or_default()
        }
        LoginOutcome::Pending(step) => return Err(refused(step.refusal())),
        LoginOutcome::Refused(refusal) => return Err(refused(refusal)),
    };
    print(context, &user, &codes)
}

fn enrol_in_session(store: &Store, token: &Secret, device: &DeviceId) -> Result<RecoveryCodes> {
    let factors = store.second_factors();
    let enrolment = factors.enrol((token, device), NewTotp::new())?;
    show(&enrolment.done().map_err(refused)?)?;
    let (first, second) = (code(FIRST)?, code(NEXT)?);
    factors.confirm((token, device), first, second)?.done().map_err(refused)
}

pub(super) fn reissue(context: &Context, user: &str) -> Result<()> {
    let user = names::user(&context.store, user)?;
    if context.store.second_factors().info(user.id)?.is_none() {
        return Err(no_factor());
    }
    let password = prompt::password(&format!("The password of {}: ", user.username))?;
    let typed = code(FIRST)?;
    let store = context.writing("factor.recovery_codes")?;
    let device = DeviceId::random()?;
    // The call that needs this session proves password and code.
    let open = session(&user, &device).assurance(Assurance::Aal2);
    let reply = store.sessions().open(open)?.granted().map_err(refused)?;
    let presented = (&reply.session.token, &device);
    let done = store.second_factors().reissue_recovery_codes(presented, password, typed);
    end_session(store, &user, &device);
    print(context, &user, &done?.done().map_err(refused)?.codes)
}

fn session(user: &User, device: &DeviceId) -> OpenSession {
    OpenSession::new(user.id, device.clone()).lifetime(SESSION_LIVES).label("gatepost factor")
}

/// Revokes the session of this command, and forgets its device: no person will log in on it. The
/// recovery codes must be printed even if that fails.
fn end_session(store: &Store, user: &User, device: &DeviceId) {
    if let Err(error) = store.devices().forget(user.id, device) {
        note(&format!("The session of this command lives for a quarter of an hour: {error}"));
    }
}

/// Shows the secret on standard error, where the questions are as well.
fn show(enrolment: &TotpEnrolment) -> Result<()> {
    let code = QrCode::new(enrolment.uri.expose()).map_err(|error| {
        Failure::new(Exit::Unavailable, format!("the secret fits no QR code: {error}"), "")
    })?;
    // Light modules are printed, because most terminals are dark.
    let mut drawn = code.render::<Dense1x2>();
    picture(&drawn.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build());
    note(&format!("Scan it, or type this secret: {}", enrolment.base32.expose()));
    Ok(())
}

/// Prints the recovery codes, which are not stored and so are shown this one time.
fn print(context: &Context, user: &User, codes: &[Secret]) -> Result<()> {
    let about = format!(
        "The recovery codes of {}. Each replaces one code, once. They are shown only now:",
        user.username
    );
    let record = json!({ "user": user.id });
    context.output.secrets(&about, "recovery_codes", codes, record).map_err(|error| {
        Failure::not_shown(
            &format!("recovery codes of {} were issued", user.username),
            &error,
            format!("Issue others, which end these: gatepost factor recovery-codes {}", user.id),
        )
    })
}
