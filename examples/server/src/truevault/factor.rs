//! The second factor of the caller. The service lets an administrator enrol another user too; here
//! the secret of an authenticator is shown to its user alone.

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::routing::post;
use gatepost::second_factors::NewTotp;
use gatepost::{ErrorClass, Password, UserId};
use gatepost_axum::Rejection;
use serde_json::json;

use super::answer::Done;
use super::caller::Caller;
use super::fields::Fields;
use crate::Site;
use crate::page::qr_code;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/users/{id}/mfa/start_enrollment", post(enrol))
        .route("/users/{id}/mfa/finalize_enrollment", post(confirm))
        .route("/users/{id}/mfa/unenroll", post(remove))
}

type Id = Result<Path<UserId>, PathRejection>;

fn of_caller(me: &Caller, path: Id) -> Result<(), Rejection> {
    if me.is(path?.0) {
        return Ok(());
    }
    let detail = "Each user enrols and removes a second factor alone, in a session of its own.";
    Err(Rejection::new(ErrorClass::Forbidden, "not_permitted", detail))
}

/// The issuer that the client names is not taken: the URI has the name of the service, so that no
/// page can make an authenticator show the name of another one.
async fn enrol(me: Caller, path: Id, mut fields: Fields) -> Result<Done, Rejection> {
    of_caller(&me, path)?;
    fields.take("issuer");
    fields.end()?;
    let begun = me.enrol_second_factor(NewTotp::new()).await?;
    let uri = begun.uri.expose();
    let mfa = json!({
        "secret": begun.base32.expose(),
        "uri": uri,
        "qr_code_svg": qr_code(uri).unwrap_or_default(),
    });
    Ok(Done("mfa", mfa))
}

/// The client reads nothing of the answer; a program that does gets the recovery codes, once.
async fn confirm(me: Caller, path: Id, mut fields: Fields) -> Result<Done, Rejection> {
    of_caller(&me, path)?;
    let (first, second) = (fields.required("mfa_code_1")?, fields.required("mfa_code_2")?);
    fields.end()?;
    let set = me.confirm_second_factor(first.into(), second.into()).await?;
    let codes: Vec<&str> = set.codes.iter().map(|code| code.expose()).collect();
    Ok(Done("mfa", json!({ "recovery_codes": codes })))
}

async fn remove(me: Caller, path: Id, mut fields: Fields) -> Result<Done, Rejection> {
    of_caller(&me, path)?;
    let (password, code) = (fields.required("password")?, fields.required("mfa_code")?);
    fields.end()?;
    me.remove_second_factor(Password::from(password), code.into()).await?;
    Ok(Done::nothing())
}
