//! The one password reset flow: the server sends the mail itself, so a flow has nothing to set up.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use gatepost::ErrorClass;
use gatepost::sessions::RevokeApiKeys;
use gatepost::uuid::Uuid;
use gatepost::{Error, Password, Store};
use gatepost_axum::{Auth, Rejection, blocking};
use serde_json::{Value, json};

use super::answer::{Attributes, Done, shown};
use super::caller::Caller;
use super::fields::Fields;
use crate::Site;

const FLOW: Uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8001);

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/password_reset_flows", get(flows))
        .route("/password_reset_flows/{id}/email", post(send))
}

async fn flows(_: Caller) -> Done {
    Done("password_reset_flows", json!([{ "id": FLOW, "name": "reset" }]))
}

/// A person who has forgotten the password has no credential, so none is asked for. The answer is
/// the same whether or not there is such a user, and does not wait for the mail.
async fn send(
    State(site): State<Site>,
    Path(flow): Path<String>,
    mut fields: Fields,
) -> Result<Done, Rejection> {
    if flow != FLOW.to_string() {
        let detail = "There is no such password reset flow.";
        return Err(Rejection::new(ErrorClass::NotFound, "not_found", detail));
    }
    let username = fields.required("username")?;
    fields.end()?;
    let store = site.auth.store().clone();
    // The mail is sent from inside, as this handler ends if the client goes away.
    let ask = move || -> Result<(), Error> {
        let asked = store.one_time_tokens().request_password_reset(&username)?;
        tokio::task::spawn_blocking(move || asked.mail().map(|mail| site.mail.send_reset(mail)));
        Ok(())
    };
    blocking(ask).await?;
    Ok(Done::nothing())
}

/// Sets the password of the user whom the one-time token was mailed to, and answers that user. The
/// id in the path is not asked: the token says whose password it is, and proves it.
pub(super) async fn redeem(
    auth: &Auth,
    token: String,
    password: Password,
) -> Result<Value, Rejection> {
    let store: Store = auth.store().clone();
    let reset =
        move || store.one_time_tokens().reset_password(&token, password, RevokeApiKeys::Keep);
    let detail = "The link was used or has expired.";
    let invalid = |_| Rejection::new(ErrorClass::SignIn, "invalid_token", detail);
    let user = blocking(reset).await?.valid().map_err(invalid)?;
    let (store, id) = (auth.store().clone(), user.id);
    let factor = blocking(move || store.second_factors().info(id)).await?;
    Ok(shown(&user, factor.is_some(), Attributes::Omitted))
}
