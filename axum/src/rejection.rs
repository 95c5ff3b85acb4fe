//! The one answer to a request that failed: status, headers, and a body by RFC 9457.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gatepost::sessions::NotFresh;
use gatepost::{Error, ErrorClass, ErrorKind, InvalidToken, LoginRefusal, NotPermitted};
use serde::Serialize;

/// Why a request was not done. Errors and refusals of the library become one by `?`.
///
/// | class | status | headers |
/// |---|---|---|
/// | `SignIn` | 401 | `WWW-Authenticate: Bearer`; `SignedIn` clears a refused cookie |
/// | `Forbidden` | 403 | |
/// | `NotFound` | 404 | |
/// | `Conflict` | 409 | |
/// | `Invalid` | 422 | |
/// | `Wait` | 429 | `Retry-After` |
/// | `Unavailable` | 503 | `Retry-After` if a retry may help |
///
/// The body is `application/problem+json` with `title`, `status`, `detail` (a sentence that may be
/// shown) and `code` (a word for programs, such as `new_password_required`). If there is a time to
/// wait, `retry_after` has the seconds; if a new password breaks a rule, `rule` has its name. No
/// body has stored data, a secret, or what was typed. What only the operator has to know of an
/// `Unavailable` error goes to `tracing`, at the level of errors.
///
/// ```
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use gatepost::LoginRefusal;
/// use gatepost_axum::Rejection;
///
/// let rejection = Rejection::from(LoginRefusal::AccountLocked);
/// assert_eq!((rejection.status(), rejection.code()), (StatusCode::FORBIDDEN, "account_locked"));
/// let response = rejection.into_response();
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// ```
#[derive(Debug)]
pub struct Rejection(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    rule: Option<&'static str>,
    is_token: bool,
    cleared: Option<HeaderValue>,
}

/// What a rejection asks of the person, for the guards of pages. It is part of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    SignIn,
    StepUp,
}

/// The word of a rejection that asks for a step-up, as [`LoginRefusal::StepUpRequired`] has it.
const STEP_UP_REQUIRED: &str = "step_up_required";

impl Rejection {
    /// A rejection of the program's own: `code` is a word for programs, `detail` a sentence for
    /// people.
    ///
    /// ```
    /// use gatepost::ErrorClass;
    /// use gatepost_axum::Rejection;
    ///
    /// let gone = Rejection::new(ErrorClass::NotFound, "no_report", "There is no such report.");
    /// assert_eq!(gone.status().as_u16(), 404);
    /// ```
    pub fn new(
        class: ErrorClass,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::answered(status_of(class), code, detail)
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The word for programs, such as `invalid_credentials`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The time to wait before the next attempt, if there is one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    fn answered(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
            rule: None,
            is_token: false,
            cleared: None,
        }))
    }

    /// There is no credential in the request.
    pub(crate) fn sign_in() -> Self {
        Self::new(ErrorClass::SignIn, "sign_in", "Sign in first.")
    }

    /// There is a credential, and it is not valid.
    pub(crate) fn refused_credential() -> Self {
        let detail = "Sign in again: the session has ended.";
        let mut rejection = Self::new(ErrorClass::SignIn, "invalid_token", detail);
        rejection.0.is_token = true;
        rejection
    }

    /// Several headers `Authorization`, where a call would have to choose one. Not 401, after which
    /// a client takes its session for ended (RFC 6750, 3.1: `invalid_request`).
    pub(crate) fn ambiguous_credential() -> Self {
        let detail = "The request has more than one header Authorization: send one.";
        Self::answered(StatusCode::BAD_REQUEST, "ambiguous_credential", detail)
    }

    /// A one-time token, which is no credential of the request: not 401, so that a client that is
    /// signed in keeps its session.
    pub(crate) fn invalid_one_time_token() -> Self {
        let detail = "The token is not valid: it was used, has expired or was never issued.";
        Self::new(ErrorClass::Invalid, "invalid_one_time_token", detail)
    }

    /// A resource ticket that is missing or not valid: not 401, for the same reason.
    pub(crate) fn invalid_ticket() -> Self {
        let detail = "The link is not valid, or no longer: open its page again.";
        Self::new(ErrorClass::Forbidden, "invalid_ticket", detail)
    }

    /// A wrong current password, which does not end the session: 403, so that the client keeps its
    /// token.
    pub(crate) fn wrong_current_password() -> Self {
        let detail = "The current password is wrong, or there were too many attempts.";
        Self::new(ErrorClass::Forbidden, "wrong_current_password", detail)
    }

    /// The same, for calls that take a password, a code or both.
    pub(crate) fn wrong_password_or_code() -> Self {
        let detail = "The password or the code is wrong, or there were too many attempts.";
        Self::new(ErrorClass::Forbidden, "wrong_password_or_code", detail)
    }

    /// Whether the credential itself was refused.
    pub(crate) fn is_of_token(&self) -> bool {
        self.0.is_token
    }

    /// Removes the cookie of the session that was refused.
    pub(crate) fn clearing(mut self, cookie: HeaderValue) -> Self {
        self.0.cleared = Some(cookie);
        self
    }

    fn retried_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let class = error.class();
        let is_ours = class == ErrorClass::Unavailable;
        if is_ours {
            let (kind, advice) = (error.kind(), error.advice());
            tracing::error!(?kind, path = ?error.path(), advice, "{error}");
        }
        let detail = match is_ours {
            true => Cow::Borrowed("The service cannot answer now."),
            false => Cow::Owned(sentence(&error.to_string())),
        };
        let wait = error.retry_after().or(error.is_retryable().then_some(Duration::from_secs(1)));
        let mut rejection = Self::new(class, code_of(&error), detail).retried_after(wait);
        rejection.0.rule = error.password_rule().map(|rule| rule.name());
        rejection.0.is_token = error.kind() == ErrorKind::SessionEnded;
        rejection
    }
}

impl From<LoginRefusal> for Rejection {
    fn from(refusal: LoginRefusal) -> Self {
        let mut rejection = Self::new(refusal.class(), refusal.name(), refusal.message())
            .retried_after(refusal.retry_after());
        if let LoginRefusal::PasswordRejected(rule) = refusal {
            rejection.0.rule = Some(rule.name());
        }
        rejection
    }
}

impl From<InvalidToken> for Rejection {
    fn from(_: InvalidToken) -> Self {
        Self::refused_credential()
    }
}

impl From<NotPermitted> for Rejection {
    fn from(refused: NotPermitted) -> Self {
        match refused {
            NotPermitted::Denied => {
                Self::new(refused.class(), "not_permitted", "You may not do this.")
            }
            NotPermitted::Ended => Self::refused_credential(),
        }
    }
}

impl From<NotFresh> for Rejection {
    fn from(refused: NotFresh) -> Self {
        match refused {
            NotFresh::StepUpRequired => {
                let detail = "Confirm first that it is you.";
                Self::new(refused.class(), STEP_UP_REQUIRED, detail)
            }
            NotFresh::Invalid => Self::refused_credential(),
        }
    }
}

/// Says nothing of what was in the body: the value that does not fit may be a password.
impl From<JsonRejection> for Rejection {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        let (code, detail) = match status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("not_json", "The header Content-Type is not application/json.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The body is too large."),
            _ => ("malformed_body", "The body is not the JSON that this call expects."),
        };
        Self::answered(status, code, detail)
    }
}

/// A part of a path that is no id names nothing.
impl From<PathRejection> for Rejection {
    fn from(_: PathRejection) -> Self {
        Self::new(ErrorClass::NotFound, "not_found", "There is nothing at this address.")
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl StdError for Rejection {}

/// The members of RFC 9457, 3.1, and three of our own.
#[derive(Serialize)]
struct Problem<'r> {
    title: &'static str,
    status: u16,
    detail: &'r str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let Inner { status, code, detail, retry_after, rule, is_token, cleared } = *self.0;
        let retry_after = retry_after.map(whole_seconds);
        let problem = Problem {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &detail,
            code,
            retry_after,
            rule,
        };
        // Numbers and texts always serialise.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            // Not `Basic`: a browser would ask for a password by itself.
            let scheme = if is_token { r#"Bearer error="invalid_token""# } else { "Bearer" };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        if let Some(cookie) = cleared {
            headers.append(SET_COOKIE, cookie);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.extensions_mut().insert(Demand::SignIn);
        } else if code == STEP_UP_REQUIRED {
            response.extensions_mut().insert(Demand::StepUp);
        }
        response
    }
}

const fn status_of(class: ErrorClass) -> StatusCode {
    match class {
        ErrorClass::SignIn => StatusCode::UNAUTHORIZED,
        ErrorClass::Forbidden => StatusCode::FORBIDDEN,
        ErrorClass::NotFound => StatusCode::NOT_FOUND,
        ErrorClass::Conflict => StatusCode::CONFLICT,
        ErrorClass::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorClass::Wait => StatusCode::TOO_MANY_REQUESTS,
        ErrorClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The kinds on which a client acts differently, else the word of the class.
fn code_of(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Taken => "taken",
        ErrorKind::LimitReached => "limit_reached",
        ErrorKind::NotEmpty => "not_empty",
        ErrorKind::Stale => "stale",
        ErrorKind::Insufficient => "insufficient",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Invalid if error.password_rule().is_some() => "password_rejected",
        _ => match error.class() {
            ErrorClass::SignIn => "invalid_token",
            ErrorClass::Forbidden => "forbidden",
            ErrorClass::NotFound => "not_found",
            ErrorClass::Conflict => "conflict",
            ErrorClass::Invalid => "invalid",
            ErrorClass::Wait => "too_many_attempts",
            ErrorClass::Unavailable => "unavailable",
        },
    }
}

/// A message of the library as a sentence, as those of refusals are.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Rounded up, so that the caller does not come back too early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
