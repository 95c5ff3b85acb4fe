//! The frame of every page, its parts, and the pages of failures.

use std::fmt::Display;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::response::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gatepost::Timestamp;
use gatepost_axum::{Rejection, SignedIn};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

/// The privilege of this site that shows the link to the page of the users.
///
/// It opens no page: that one asks for the administrations of the caller. They are read from the
/// file, and this is answered from memory, as the head of every page needs it.
pub(crate) const USERS_LINK: &str = "site.users-link";

/// A page of a caller who is signed in; `here` is the path of its link in the navigation.
pub(crate) fn page(me: &SignedIn, here: &str, title: &str, body: Markup) -> Markup {
    let is_admin = me.principal.is_admin;
    let link = |path: &str, text: &str| {
        let current = (path == here).then_some("page");
        html! { a href=(path) aria-current=[current] { (text) } }
    };
    frame(
        title,
        html! {
            nav aria-label="Main" {
                (link("/", "Home"))
                (link("/account", "Account"))
                @if is_admin || me.may(USERS_LINK).is_ok() { (link("/admin/users", "Users")) }
                @if is_admin { (link("/admin/audit", "Audit")) }
                form.inline method="post" action="/logout" { button.quiet { "Sign out" } }
            }
        },
        body,
    )
}

/// A page for everyone.
pub(crate) fn public(title: &str, body: Markup) -> Markup {
    frame(title, html! {}, body)
}

fn frame(title: &str, navigation: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Example" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="/favicon.svg" type="image/svg+xml";
            }
            body {
                header { strong { "Example" } (navigation) }
                main { h1 { (title) } (body) }
            }
        }
    }
}

/// A labelled field of a form. `kind` is the type of the input, `fill` what a browser or password
/// manager may fill in.
pub(crate) fn field(name: &str, label: &str, kind: &str, fill: &str, value: &str) -> Markup {
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) type=(kind) autocomplete=(fill) value=(value) required;
    }
}

/// The field of a code: digits on the keyboard of a telephone.
pub(crate) fn code_field(name: &str, label: &str) -> Markup {
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) type="text" inputmode="numeric" autocomplete="one-time-code"
            spellcheck="false" required;
    }
}

pub(crate) fn hidden(name: &str, value: impl Display) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// What went wrong, read out at once by a screen reader.
pub(crate) fn error(message: Option<&str>) -> Markup {
    html! { @if let Some(message) = message { p.error role="alert" { (message) } } }
}

pub(crate) fn done(message: &str) -> Markup {
    html! { p.done role="status" { (message) } }
}

/// A time to the minute, in UTC.
pub(crate) fn time(at: Timestamp) -> Markup {
    let exact = at.to_string();
    let shown = exact.get(..16).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) { (shown) } }
}

/// The QR code of a URI as SVG, without a declaration of XML; `None` if the URI is too long.
pub(crate) fn qr_code(uri: &str) -> Option<String> {
    let code = QrCode::new(uri).ok()?;
    let picture =
        code.render::<svg::Color<'_>>().min_dimensions(224, 224).quiet_zone(true).build();
    Some(picture.split_once("?>").map_or(picture.as_str(), |(_, svg)| svg).to_owned())
}

/// The secret of an authenticator: a QR code, and the text beside it.
pub(crate) fn secret(uri: &str) -> Markup {
    let base32 = uri.split(['?', '&']).find_map(|pair| pair.strip_prefix("secret="));
    html! {
        p { "Scan this code with an authenticator program, or type the secret into it." }
        @if let Some(picture) = qr_code(uri) {
            div.qr role="img" aria-label="QR code of the secret below" { (PreEscaped(picture)) }
        }
        p { "Secret: " code #secret { (base32.unwrap_or_default()) } }
        p.hint { "Then type the code that it shows, and the next one 30 seconds later." }
    }
}

pub(crate) fn recovery_codes<'c>(codes: impl Iterator<Item = &'c str>) -> Markup {
    html! {
        (done("The authenticator is set up."))
        p {
            "If you lose it, each of these recovery codes replaces one code, once. Print them, or \
             keep them in a password manager: they are not shown again."
        }
        ul.codes { @for code in codes { li { (code) } } }
    }
}

/// The same page again, with the status, the cookies and the headers of the rejection. A page
/// behind a guard is replaced by the redirect of the guard if the caller has to sign in.
pub(crate) fn again(rejection: Rejection, page: Markup) -> Response {
    let mut response = rejection.into_response();
    *response.body_mut() = Body::from(page.into_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.remove(CONTENT_LENGTH);
    response
}

/// What a rejection says.
#[derive(Deserialize)]
pub(crate) struct Problem {
    pub(crate) detail: String,
    pub(crate) code: String,
}

/// The head of an answer that is a rejection, and what it says; any other answer as it is.
pub(crate) async fn problem_of(response: Response) -> Result<(Parts, Problem), Response> {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/problem+json") {
        return Err(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 10_000).await.unwrap_or_default();
    let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| Problem {
        detail: "The request could not be answered.".to_owned(),
        code: "unavailable".to_owned(),
    });
    Ok((parts, problem))
}

/// Rejections that no page has shown become one.
pub(crate) async fn problems_as_pages(request: Request, next: Next) -> Response {
    let (mut parts, Problem { detail, .. }) = match problem_of(next.run(request).await).await {
        Ok(problem) => problem,
        Err(response) => return response,
    };
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    parts.headers.remove(CONTENT_LENGTH);
    let title = parts.status.canonical_reason().unwrap_or("Error");
    let page = public(title, html! { (error(Some(&detail))) p { a href="/" { "Home" } } });
    Response::from_parts(parts, Body::from(page.into_string()))
}

pub(crate) async fn missing() -> (StatusCode, Markup) {
    let body = html! { p { "There is no such page." } p { a href="/" { "Home" } } };
    (StatusCode::NOT_FOUND, public("Not Found", body))
}

pub(crate) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}
