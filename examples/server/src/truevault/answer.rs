//! The shapes of every answer: `result`, `transaction_id`, and the part that the call names.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use gatepost::directory::UserStatus;
use gatepost::host::{RandomSource, SystemRandom};
use gatepost::uuid::{Builder, Uuid};
use gatepost::{Secret, User};
use serde_json::{Map, Value, json};

use super::fields::invalid;
use crate::page::{Problem, problem_of};

/// One store is one account of the service, so one id is enough for all.
pub(super) const ACCOUNT: Uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8000);

/// A call that was done, with the part of the answer that its client reads.
pub(super) struct Done(pub(super) &'static str, pub(super) Value);

impl Done {
    /// Of a call whose client reads nothing.
    pub(super) fn nothing() -> Self {
        Self("", Value::Null)
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let mut members = Map::new();
        members.insert("result".to_owned(), json!("success"));
        members.insert("transaction_id".to_owned(), json!(transaction()));
        if !self.0.is_empty() {
            members.insert(self.0.to_owned(), self.1);
        }
        Json(members).into_response()
    }
}

/// The longest body, as nginx has it by default. Attributes are shorter.
const BODY_MAX_BYTES: usize = 1_048_576;

/// Reads the whole of a body before a call is refused: a client that is still sending its body when
/// the answer comes reports a broken connection instead.
pub(super) async fn whole(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match to_bytes(body, BODY_MAX_BYTES).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(_) => invalid("The body is longer than 1 MiB, or was cut off.").into_response(),
    }
}

/// Rejections in the shape that the client makes an `Error` of.
pub(super) async fn problems(request: Request, next: Next) -> Response {
    let (mut parts, Problem { detail, code }) = match problem_of(next.run(request).await).await {
        Ok(problem) => problem,
        Err(response) => return response,
    };
    let word = type_of(parts.status, &code);
    let transaction = transaction();
    if parts.status.is_server_error() {
        tracing::error!(transaction, word, "a call failed");
    }
    let body = json!({
        "result": "error",
        "transaction_id": transaction,
        "error": { "code": word, "type": word, "message": detail },
    });
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body.to_string()))
}

/// The word for programs. The service's own clients ask for `USER.MFA_CODE_REQUIRED`; its other
/// words are not in its client, so they are those of this site.
fn type_of(status: StatusCode, code: &str) -> String {
    let subject = match (status, code) {
        (_, "mfa_code_required") => "USER",
        (StatusCode::UNAUTHORIZED, _) => "AUTH",
        _ => "REQUEST",
    };
    format!("{subject}.{}", code.to_ascii_uppercase())
}

/// A random id by which a person who reports a failure finds it in the log.
fn transaction() -> String {
    let mut bytes = [0; 16];
    // Zeros name no answer, and the failure of the source shows elsewhere: no token is drawn.
    let _ = SystemRandom::default().fill(&mut bytes);
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// How the attributes and groups of a user are shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attributes {
    Omitted,
    /// As version 1 of the API has them: base64 of JSON.
    Base64,
    /// As version 2 has them: JSON.
    Json,
}

impl Attributes {
    /// By the parameter `full` of version 1.
    pub(super) fn full(full: bool) -> Self {
        if full { Self::Base64 } else { Self::Omitted }
    }
}

pub(super) fn shown(user: &User, mfa_enrolled: bool, attributes: Attributes) -> Value {
    let status = match user.deleted_at {
        Some(_) => "DEACTIVATED",
        None => word_of(user.status),
    };
    let shown = json!({
        "account_id": ACCOUNT,
        "id": user.id,
        "user_id": user.id,
        "username": user.username,
        "status": status,
        "mfa_enrolled": mfa_enrolled,
    });
    let json = user.attributes.as_deref().unwrap_or("{}");
    let attributes = match attributes {
        Attributes::Omitted => return shown,
        Attributes::Base64 => json!(BASE64.encode(ascii(json).as_bytes())),
        // The store has checked that it is JSON.
        Attributes::Json => serde_json::from_str(json).unwrap_or_default(),
    };
    with(with(shown, "attributes", attributes), "group_ids", json!([]))
}

/// The same with an access token, whose one reader is the client.
pub(super) fn with_token(shown: Value, token: &Secret) -> Value {
    with(shown, "access_token", json!(token.expose()))
}

fn with(mut shown: Value, name: &str, value: Value) -> Value {
    if let Some(members) = shown.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    shown
}

/// JSON of ASCII alone: the client decodes base64 into Latin-1, other clients into UTF-8. Outside
/// of a string JSON has no other letters.
fn ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            ascii.push_str(&format!("\\u{unit:04x}"));
        }
    }
    ascii
}

const STATUSES: [(&str, UserStatus); 4] = [
    ("ACTIVATED", UserStatus::Active),
    ("PENDING", UserStatus::Pending),
    ("LOCKED", UserStatus::Locked),
    ("DEACTIVATED", UserStatus::Disabled),
];

fn word_of(status: UserStatus) -> &'static str {
    STATUSES.iter().find(|(_, other)| *other == status).map_or("DEACTIVATED", |(word, _)| word)
}

/// The status of a word of the service; `None` for any other word.
pub(super) fn status_of(word: &str) -> Option<UserStatus> {
    // The documentation of the client says `ACTIVE` in one place.
    let word = if word == "ACTIVE" { "ACTIVATED" } else { word };
    STATUSES.iter().find(|(other, _)| *other == word).map(|(_, status)| *status)
}
