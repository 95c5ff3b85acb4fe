//! What a person sees and changes of their own account: sessions, devices, password, second factor.

use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use gatepost::second_factors::{NewTotp, SecondFactor};
use gatepost::sessions::{KnownDevice, Reauthentication, SessionFilter, SessionInfo};
use gatepost::{DeviceId, Error, Password, SessionId, Store};
use gatepost_axum::{Fresh, Next, Rejection, SignedIn, StepUp, login_guard, step_up_guard};
use maud::{Markup, html};
use serde::Deserialize;

use crate::Site;
use crate::page::{
    again, code_field, done, error, field, hidden, page, recovery_codes, secret, time,
};

pub(crate) fn pages() -> Router<Site> {
    // A form whose proof is too old is not sent again: the proof leads back to the page before it.
    let forms = Router::new()
        .route("/account/second-factor", post(enrol))
        .route("/account/second-factor/confirm", post(confirm))
        .route("/account/second-factor/remove", post(remove));
    let password = Router::new().route("/account/password", post(change_password));
    Router::new()
        .route("/", get(home))
        .route("/account", get(account))
        .route("/account/sessions/{id}/revoke", post(revoke))
        .route("/account/sessions/revoke-others", post(revoke_others))
        .route("/account/devices/{handle}/forget", post(forget))
        .route("/account/password", get(password_form))
        .route("/account/second-factor", get(factor))
        .merge(step_up_guard(forms, "/prove?next=/account/second-factor"))
        .merge(step_up_guard(password, "/prove?next=/account/password"))
}

/// The page that asks for a proof is behind the guard of logins alone.
pub(crate) fn proof() -> Router<Site> {
    login_guard(Router::new().route("/prove", get(prove_form).post(prove)), "/login")
}

async fn home(me: SignedIn) -> Result<Markup, Rejection> {
    let principal = me.principal;
    let profile = me.blocking(move |store| store.profile(&principal)).await?;
    // An image that a browser loads by itself, with a ticket in the place of a cookie.
    let image = me.ticket_url("/images/1", Duration::from_secs(60))?;
    let name = profile.user.first_name.as_deref().unwrap_or(&profile.user.username);
    let body = html! {
        p {
            "You are signed in as " strong { (profile.user.username) }
            @if let Some(branch) = &profile.branch { " of the branch " (branch.name) }
            "."
        }
        img src=(image) alt="Three hills under a sun" width="320" height="160";
    };
    Ok(page(&me, "/", &format!("Hello, {name}"), body))
}

/// What the page of the account shows.
struct Shown {
    sessions: Vec<SessionInfo>,
    devices: Vec<KnownDevice>,
    factor: Option<SecondFactor>,
}

async fn account(me: SignedIn) -> Result<Markup, Rejection> {
    let user = me.principal.user;
    let read = move |store: &Store| -> Result<_, Error> {
        let own = SessionFilter::new().under(user);
        let sessions = store.sessions().iter(&own).collect::<Result<_, _>>()?;
        let devices = store.devices().list(user)?;
        let factor = store.second_factors().info(user)?;
        Ok(Shown { sessions, devices, factor })
    };
    let shown = me.blocking(read).await?;
    let body = html! {
        (sessions(&me, &shown.sessions))
        (devices(&me, &shown.devices))
        h2 { "Password" }
        p { a href="/account/password" { "Change my password" } }
        h2 { "Second factor" }
        @match shown.factor {
            Some(factor) => p {
                "Set up on " (time(factor.since)) ". "
                (factor.recovery_codes_left) " recovery codes are left."
            },
            None => p { "You sign in with your password alone." },
        }
        p { a href="/account/second-factor" { "Change my second factor" } }
    };
    Ok(page(&me, "/account", "My account", body))
}

fn sessions(me: &SignedIn, sessions: &[SessionInfo]) -> Markup {
    let current = me.principal.credential.session();
    html! {
        h2 #sessions { "Where I am signed in" }
        div.scroll {
            table.cards aria-labelledby="sessions" {
                thead { tr {
                    th scope="col" { "Browser" } th scope="col" { "Address" }
                    th scope="col" { "Since" } th scope="col" { "Last use" } th scope="col" { "" }
                } }
                tbody { @for session in sessions {
                    @let client = session.client_info.as_ref();
                    @let agent = client.and_then(|client| client.agent()).unwrap_or("unknown");
                    @let is_current = current == Some(session.id);
                    tr.current[is_current] {
                        td { (agent) }
                        td data-label="Address" {
                            @if let Some(ip) = client.and_then(|client| client.address()) { (ip) }
                        }
                        td data-label="Since" { (time(session.opened_at)) }
                        td data-label="Last use" { (time(session.last_seen_at)) }
                        td.actions { @if is_current { strong { "This one" } } @else {
                            form.inline method="post"
                                action=(format!("/account/sessions/{}/revoke", session.id)) {
                                button.danger aria-label=(format!("Sign out {agent}")) {
                                    "Sign out"
                                }
                            }
                        } }
                    }
                } }
            }
        }
        @if sessions.len() > 1 {
            form method="post" action="/account/sessions/revoke-others" {
                p { button.danger { "Sign out everywhere else" } }
            }
        }
    }
}

fn devices(me: &SignedIn, devices: &[KnownDevice]) -> Markup {
    let current = me.device().map(DeviceId::handle);
    html! {
        h2 #devices { "Browsers that I have used" }
        div.scroll {
            table.cards aria-labelledby="devices" {
                thead { tr {
                    th scope="col" { "Browser" } th scope="col" { "First login" }
                    th scope="col" { "Last login" } th scope="col" { "Trusted: asks for no code" }
                    th scope="col" { "" }
                } }
                tbody { @for device in devices {
                    @let is_current = current.as_ref() == Some(&device.handle);
                    tr.current[is_current] {
                        td { code { (device.handle) } @if is_current { " " strong { "This one" } } }
                        td data-label="First login" { (time(device.first_login_at)) }
                        td data-label="Last login" { (time(device.last_login_at)) }
                        td data-label="Trusted" { @match device.trusted_until {
                            Some(end) => { "until " (time(end)) },
                            None => { "no" },
                        } }
                        td.actions {
                            form.inline method="post"
                                action=(format!("/account/devices/{}/forget", device.handle)) {
                                @let label =
                                    if is_current { "Forget, and sign out" } else { "Forget" };
                                button.danger aria-label=(format!("{label}: {}", device.handle)) {
                                    (label)
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}

async fn revoke(me: SignedIn, Path(id): Path<SessionId>) -> Result<Redirect, Rejection> {
    let principal = me.principal;
    me.blocking(move |store| store.sessions().revoke_own(&principal, id)).await?;
    Ok(Redirect::to("/account"))
}

async fn revoke_others(me: SignedIn) -> Result<Redirect, Rejection> {
    let principal = me.principal;
    me.blocking(move |store| store.sessions().revoke_others(&principal)).await?;
    Ok(Redirect::to("/account"))
}

/// A forgotten browser is asked for a code again, and a session in it is revoked.
async fn forget(me: SignedIn, Path(handle): Path<String>) -> Result<Redirect, Rejection> {
    let user = me.principal.user;
    me.blocking(move |store| store.devices().forget_listed(user, &handle)).await?;
    Ok(Redirect::to("/account"))
}

async fn password_form(me: SignedIn) -> Markup {
    password_page(&me, None)
}

fn password_page(me: &SignedIn, wrong: Option<&str>) -> Markup {
    let body = html! {
        (error(wrong))
        form.stacked method="post" {
            (field("current", "Current password", "password", "current-password", ""))
            (field("new", "New password", "password", "new-password", ""))
            button { "Change it" }
        }
        p.hint { "You are signed out everywhere else." }
    };
    page(me, "/account", "Change my password", body)
}

#[derive(Deserialize)]
struct Change {
    current: Password,
    new: Password,
}

async fn change_password(me: SignedIn, Form(form): Form<Change>) -> Response {
    match me.change_password(form.current, form.new).await {
        Ok(changed) => {
            let page = page(&me, "/account", "Password", done("Your password is changed."));
            (changed, page).into_response()
        }
        // The guard sends the caller to the page of proofs.
        Err(refused) if refused.code() == "step_up_required" => refused.into_response(),
        Err(refused) => {
            let page = password_page(&me, Some(&refused.to_string()));
            again(refused, page)
        }
    }
}

/// A thief of a session must not set up a factor: the user has signed in or proved lately.
struct ChangeFactor;
impl StepUp for ChangeFactor {}

async fn factor(me: Fresh<ChangeFactor>) -> Result<Markup, Rejection> {
    let user = me.principal.user;
    let found = me.blocking(move |store| store.second_factors().info(user)).await?;
    let body = match found {
        Some(_) => remove_form(None),
        None => html! {
            p { "An authenticator program on your telephone shows a code every 30 seconds." }
            form method="post" { button { "Set one up" } }
        },
    };
    Ok(page(&me, "/account", "My second factor", body))
}

fn remove_form(wrong: Option<&str>) -> Markup {
    html! {
        (error(wrong))
        form.stacked method="post" action="/account/second-factor/remove" {
            (field("password", "Password", "password", "current-password", ""))
            (code_field("code", "Code, or a recovery code"))
            button.danger { "Remove it" }
        }
    }
}

/// The library itself asks for a proof of the last 15 minutes.
async fn enrol(me: SignedIn) -> Result<Markup, Rejection> {
    let begun = me.enrol_second_factor(NewTotp::new()).await?;
    Ok(confirm_page(&me, None, begun.uri.expose()))
}

fn confirm_page(me: &SignedIn, wrong: Option<&str>, uri: &str) -> Markup {
    let body = html! {
        (secret(uri))
        (error(wrong))
        form.stacked method="post" action="/account/second-factor/confirm" {
            (code_field("first", "Code"))
            (code_field("second", "Next code"))
            (hidden("uri", uri))
            button { "Set it up" }
        }
    };
    page(me, "/account", "Set up my second factor", body)
}

#[derive(Deserialize)]
struct Confirmation {
    first: String,
    second: String,
    uri: String,
}

async fn confirm(me: Fresh<ChangeFactor>, Form(form): Form<Confirmation>) -> Response {
    let Confirmation { first, second, uri } = form;
    match me.confirm_second_factor(first.into(), second.into()).await {
        Ok(set) => {
            let body = recovery_codes(set.codes.iter().map(|code| code.expose()));
            page(&me, "/account", "Recovery codes", body).into_response()
        }
        Err(refused) => {
            let page = confirm_page(&me, Some(&refused.to_string()), &uri);
            again(refused, page)
        }
    }
}

#[derive(Deserialize)]
struct Removal {
    password: Password,
    code: String,
}

async fn remove(me: Fresh<ChangeFactor>, Form(form): Form<Removal>) -> Response {
    match me.remove_second_factor(form.password, form.code.into()).await {
        Ok(()) => Redirect::to("/account").into_response(),
        Err(refused) => {
            let form = remove_form(Some(&refused.to_string()));
            again(refused, page(&me, "/account", "My second factor", form))
        }
    }
}

async fn prove_form(me: SignedIn, next: Next) -> Result<Markup, Rejection> {
    prove_page(&me, None, &next).await
}

/// Asks for a code if a second factor is in force, also where the password alone has signed in: in
/// a trusted browser. There the password proves too little to change the password.
async fn prove_page(me: &SignedIn, wrong: Option<&str>, next: &Next) -> Result<Markup, Rejection> {
    let user = me.principal.user;
    let factor = me.blocking(move |store| store.second_factors().info(user)).await?;
    let proof = match factor {
        Some(_) => code_field("code", "Code of your authenticator"),
        None => field("password", "Password", "password", "current-password", ""),
    };
    let body = html! {
        p { "What you are about to do needs to be done by you." }
        (error(wrong))
        form.stacked method="post" action="/prove" {
            (proof)
            (hidden("next", next.as_str()))
            button { "Go on" }
        }
    };
    Ok(page(me, "", "Is it you?", body))
}

#[derive(Deserialize)]
struct Proof {
    password: Option<Password>,
    code: Option<String>,
    #[serde(default)]
    next: Next,
}

async fn prove(me: SignedIn, Form(form): Form<Proof>) -> Result<Response, Rejection> {
    let Proof { password, code, next } = form;
    let with = match password {
        Some(password) => Reauthentication::password(password),
        None => Reauthentication::code(code.unwrap_or_default()),
    };
    match me.prove(with).await {
        Ok(proved) => Ok((proved, Redirect::to(next.as_str())).into_response()),
        Err(refused) => {
            let page = prove_page(&me, Some(&refused.to_string()), &next).await?;
            Ok(again(refused, page))
        }
    }
}
