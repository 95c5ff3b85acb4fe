//! A forgotten password, and an invitation: links that a person gets by mail.
//!
//! The token is in the address, so that the pages work without a script. The pages load nothing of
//! another site and are sent with `Referrer-Policy: no-referrer`, and a token is used up once.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use gatepost::sessions::{Redemption, RevokeApiKeys};
use gatepost::{Error, Password, Store};
use gatepost_axum::{Auth, Client, Rejection, blocking};
use maud::{Markup, html};
use serde::Deserialize;

use crate::Site;
use crate::page::{again, done, error, field, hidden, public};

pub(crate) fn pages() -> Router<Site> {
    Router::new()
        .route("/forgot", get(forgot).post(request))
        .route(
            "/reset",
            get(|Query(link): Query<Link>| async move { reset_page(None, &link.token) }),
        )
        .route("/reset", axum::routing::post(reset))
        .route(
            "/welcome",
            get(|Query(link): Query<Link>| async move { welcome_page(None, &link.token) }),
        )
        .route("/welcome", axum::routing::post(welcome))
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn forgot() -> Markup {
    let body = html! {
        form.stacked method="post" {
            (field("username", "Username or e-mail address", "text", "username", ""))
            button { "Send me a link" }
        }
    };
    public("Forgotten password", body)
}

#[derive(Deserialize)]
struct Asked {
    username: String,
}

/// The answer is the same whether or not there is such an account, and does not wait for the mail.
async fn request(
    State(site): State<Site>,
    _: Client,
    Form(Asked { username }): Form<Asked>,
) -> Result<Markup, Rejection> {
    let store = site.auth.store().clone();
    // The mail is sent from inside, as this handler ends if the client goes away.
    let ask = move || -> Result<(), Error> {
        let asked = store.one_time_tokens().request_password_reset(&username)?;
        tokio::task::spawn_blocking(move || asked.mail().map(|mail| site.mail.send_reset(mail)));
        Ok(())
    };
    blocking(ask).await?;
    let message = "If there is such an account, we have sent a link to its address.";
    Ok(public("Forgotten password", done(message)))
}

fn reset_page(wrong: Option<&str>, token: &str) -> Markup {
    let body = html! {
        (error(wrong))
        form.stacked method="post" action="/reset" {
            (field("new_password", "New password", "password", "new-password", ""))
            label.check {
                input type="checkbox" name="revoke_api_keys" value="true";
                "Revoke my API keys too: another person may know them"
            }
            (hidden("token", token))
            button { "Set the password" }
        }
        p.hint { "You are signed out everywhere." }
    };
    public("New password", body)
}

fn welcome_page(wrong: Option<&str>, token: &str) -> Markup {
    let body = html! {
        (error(wrong))
        form.stacked method="post" action="/welcome" {
            (field("new_password", "Password", "password", "new-password", ""))
            (hidden("token", token))
            button { "Set the password" }
        }
    };
    public("Welcome", body)
}

#[derive(Deserialize)]
struct Redeem {
    token: String,
    new_password: Password,
    #[serde(default)]
    revoke_api_keys: bool,
}

async fn reset(State(auth): State<Auth>, _: Client, Form(form): Form<Redeem>) -> Response {
    let Redeem { token, new_password, revoke_api_keys } = form;
    let keys = if revoke_api_keys { RevokeApiKeys::All } else { RevokeApiKeys::Keep };
    let link = token.clone();
    let redeem =
        move |store: &Store| store.one_time_tokens().reset_password(&link, new_password, keys);
    redeemed(&auth, redeem, |wrong| reset_page(wrong, &token)).await
}

async fn welcome(State(auth): State<Auth>, _: Client, Form(form): Form<Redeem>) -> Response {
    let Redeem { token, new_password, .. } = form;
    let link = token.clone();
    let redeem =
        move |store: &Store| store.one_time_tokens().accept_invitation(&link, new_password);
    redeemed(&auth, redeem, |wrong| welcome_page(wrong, &token)).await
}

async fn redeemed(
    auth: &Auth,
    work: impl FnOnce(&Store) -> Result<Redemption, Error> + Send + 'static,
    page: impl Fn(Option<&str>) -> Markup,
) -> Response {
    let store = auth.store().clone();
    match blocking(move || work(&store)).await {
        Ok(Redemption::Valid(_)) => {
            let body = html! {
                (done("The password is set."))
                p { a href="/login" { "Sign in" } }
            };
            public("New password", body).into_response()
        }
        Ok(Redemption::Invalid(_)) => {
            page(Some("The link was used or has expired. Ask for another one.")).into_response()
        }
        Err(refused) => {
            let page = page(Some(&refused.to_string()));
            again(refused, page)
        }
    }
}
