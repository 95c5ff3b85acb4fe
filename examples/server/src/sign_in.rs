//! Sign in: the password, a forced change of it, and the second factor.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use gatepost::second_factors::NewTotp;
use gatepost::sessions::StepDemand;
use gatepost::{CompleteLogin, LoginRequest, Password};
use gatepost_axum::{Auth, BegunLogin, Client, LoggedIn, Next, Rejection, SignedIn};
use maud::{Markup, html};
use serde::Deserialize;

use crate::Site;
use crate::page::{again, code_field, error, field, hidden, public, recovery_codes, secret};

const WRONG_CODE: &str = "The code is wrong or was used before, or there were too many attempts.";

pub(crate) fn pages() -> Router<Site> {
    Router::new()
        .route("/login", get(form).post(log_in))
        .route("/login/change", post(change))
        .route("/login/code", post(code))
        .route("/login/enrol", post(enrol))
        .route("/logout", post(log_out))
        .route("/first", get(first_form).post(first))
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: Password,
    new_password: Option<Password>,
    #[serde(default)]
    next: Next,
}

/// A caller who is signed in already goes on.
async fn form(me: Result<Option<SignedIn>, Rejection>, next: Next) -> Response {
    match me {
        Ok(Some(_)) => Redirect::to(next.as_str()).into_response(),
        Ok(None) => login_page(None, "", &next).into_response(),
        // The session has ended: its cookie is cleared.
        Err(ended) if ended.status() == 401 => again(ended, login_page(None, "", &next)),
        Err(unknown) => unknown.into_response(),
    }
}

fn login_page(wrong: Option<&str>, username: &str, next: &Next) -> Markup {
    let body = html! {
        (error(wrong))
        form.stacked method="post" action="/login" {
            (field("username", "Username or e-mail address", "text", "username", username))
            (field("password", "Password", "password", "current-password", ""))
            (hidden("next", next.as_str()))
            button { "Sign in" }
        }
        p { a href="/forgot" { "I have forgotten my password" } }
    };
    public("Sign in", body)
}

fn change_page(wrong: Option<&str>, username: &str, next: &Next) -> Markup {
    let body = html! {
        p { "Your password was right. It has to be changed before you go on." }
        (error(wrong))
        form.stacked method="post" action="/login/change" {
            (field("username", "Username", "text", "username", username))
            (field("password", "Current password", "password", "current-password", ""))
            (field("new_password", "New password", "password", "new-password", ""))
            (hidden("next", next.as_str()))
            button { "Change it and sign in" }
        }
    };
    public("Choose a new password", body)
}

async fn log_in(client: Client, Form(login): Form<Login>) -> Response {
    let Login { username, password, next, .. } = login;
    match client.begin_login(username.clone(), password, |request| request).await {
        Ok(begun) => go_on(&client, begun, next).await,
        Err(refused) if refused.code() == "new_password_required" => {
            again(refused, change_page(None, &username, &next))
        }
        Err(refused) => {
            let page = login_page(Some(&refused.to_string()), &username, &next);
            again(refused, page)
        }
    }
}

async fn change(client: Client, Form(login): Form<Login>) -> Response {
    let Login { username, password, new_password, next } = login;
    let more = |request: LoginRequest| match new_password {
        Some(new) => request.new_password(new),
        None => request,
    };
    match client.begin_login(username.clone(), password, more).await {
        Ok(begun) => go_on(&client, begun, next).await,
        Err(refused) => {
            let page = change_page(Some(&refused.to_string()), &username, &next);
            again(refused, page)
        }
    }
}

async fn go_on(client: &Client, begun: BegunLogin, next: Next) -> Response {
    let waiting = match begun {
        BegunLogin::LoggedIn(logged_in) => {
            return (*logged_in, Redirect::to(next.as_str())).into_response();
        }
        BegunLogin::Waits(waiting) => waiting,
    };
    let token = waiting.step.token.expose().to_owned();
    let step = Step { step: token.clone(), renew: waiting.step.new_password_required, next };
    match waiting.step.demand {
        StepDemand::Enrolment => match client.enrol_at_login(token, NewTotp::new()).await {
            Ok(begun) => {
                let page = enrol_page(None, &step, begun.uri.expose());
                (waiting, page).into_response()
            }
            Err(refused) => refused.into_response(),
        },
        _ => (waiting, code_page(None, &step)).into_response(),
    }
}

/// What the second page sends back.
struct Step {
    step: String,
    /// Whether the login has to bring a new password as well.
    renew: bool,
    next: Next,
}

impl Step {
    fn fields(&self) -> Markup {
        html! {
            @if self.renew {
                (field("new_password", "New password", "password", "new-password", ""))
            }
            (hidden("step", &self.step))
            (hidden("renew", self.renew))
            (hidden("next", self.next.as_str()))
        }
    }
}

fn code_page(wrong: Option<&str>, step: &Step) -> Markup {
    let body = html! {
        (error(wrong))
        form.stacked method="post" action="/login/code" {
            (code_field("code", "Code of your authenticator, or a recovery code"))
            label.check {
                input type="checkbox" name="trust" value="true";
                "Do not ask again in this browser for 30 days"
            }
            (step.fields())
            button { "Go on" }
        }
    };
    public("Second factor", body)
}

#[derive(Deserialize)]
struct Code {
    step: String,
    code: String,
    new_password: Option<Password>,
    #[serde(default)]
    trust: bool,
    renew: bool,
    #[serde(default)]
    next: Next,
}

async fn code(client: Client, Form(form): Form<Code>) -> Response {
    let Code { step: token, code, new_password, trust, renew, next } = form;
    let step = Step { step: token.clone(), renew, next };
    let is_recovery = code.trim().len() > 8;
    let complete = |device| {
        let request = match is_recovery {
            true => CompleteLogin::with_recovery_code(token, device, code),
            false => CompleteLogin::with_code(token, device, code),
        };
        let request = match trust {
            true => request.trust_device(std::time::Duration::from_secs(30 * 86_400)),
            false => request,
        };
        match new_password {
            Some(new) => request.new_password(new),
            None => request,
        }
    };
    completed(client.complete_login(complete).await, step, code_page)
}

/// The page after the second one, or the second one again.
fn completed(
    outcome: Result<LoggedIn, Rejection>,
    step: Step,
    page: impl Fn(Option<&str>, &Step) -> Markup,
) -> Response {
    match outcome {
        Ok(mut logged_in) => match logged_in.recovery_codes.take() {
            Some(set) => {
                let body = html! {
                    (recovery_codes(set.codes.iter().map(|code| code.expose())))
                    p { a href=(step.next.as_str()) { "Go on" } }
                };
                (logged_in, public("Recovery codes", body)).into_response()
            }
            None => (logged_in, Redirect::to(step.next.as_str())).into_response(),
        },
        Err(refused) if refused.code() == "step_not_live" => {
            let page = login_page(Some("It took too long. Sign in again."), "", &step.next);
            again(refused, page)
        }
        // The password was right: the sentence about a wrong one would mislead.
        Err(refused) if refused.code() == "invalid_credentials" => {
            let page = page(Some(WRONG_CODE), &step);
            again(refused, page)
        }
        Err(refused) => {
            let page = page(Some(&refused.to_string()), &step);
            again(refused, page)
        }
    }
}

fn enrol_page(wrong: Option<&str>, step: &Step, uri: &str) -> Markup {
    let body = html! {
        p { "Your account needs a second factor." }
        (secret(uri))
        (error(wrong))
        form.stacked method="post" action="/login/enrol" {
            (code_field("first", "Code"))
            (code_field("second", "Next code"))
            (step.fields())
            (hidden("uri", uri))
            button { "Set up and sign in" }
        }
    };
    public("Set up your second factor", body)
}

#[derive(Deserialize)]
struct Enrolment {
    step: String,
    first: String,
    second: String,
    new_password: Option<Password>,
    renew: bool,
    #[serde(default)]
    next: Next,
    uri: String,
}

async fn enrol(client: Client, Form(form): Form<Enrolment>) -> Response {
    let Enrolment { step: token, first, second, new_password, renew, next, uri } = form;
    let step = Step { step: token.clone(), renew, next };
    let complete = |device| {
        let request = CompleteLogin::with_enrolment(token, device, first, second);
        match new_password {
            Some(new) => request.new_password(new),
            None => request,
        }
    };
    let outcome = client.complete_login(complete).await;
    completed(outcome, step, |wrong, step| enrol_page(wrong, step, &uri))
}

async fn log_out(client: Client) -> Result<Response, Rejection> {
    Ok((client.log_out().await?, Redirect::to("/login")).into_response())
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn first_form(axum::extract::Query(link): axum::extract::Query<Link>) -> Markup {
    first_page(None, &link.token, "")
}

fn first_page(wrong: Option<&str>, token: &str, username: &str) -> Markup {
    let body = html! {
        (error(wrong))
        form.stacked method="post" action="/first" {
            (field("username", "Username", "text", "username", username))
            (field("password", "Password", "password", "new-password", ""))
            (hidden("token", token))
            button { "Create the account" }
        }
    };
    public("The first administrator", body)
}

#[derive(Deserialize)]
struct First {
    token: String,
    username: String,
    password: Password,
}

async fn first(State(auth): State<Auth>, _: Client, Form(form): Form<First>) -> Response {
    let First { token, username, password } = form;
    let (store, link, name) = (auth.store().clone(), token.clone(), username.clone());
    let create = move || store.one_time_tokens().create_first_administrator(&link, name, password);
    match gatepost_axum::blocking(create).await {
        Ok(created) if created.clone().valid().is_ok() => Redirect::to("/login").into_response(),
        Ok(_) => {
            let wrong = Some("The link was used or has expired.");
            first_page(wrong, &token, &username).into_response()
        }
        Err(refused) => {
            let page = first_page(Some(&refused.to_string()), &token, &username);
            again(refused, page)
        }
    }
}
