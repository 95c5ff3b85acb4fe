//! What an operator's tools ask: is it healthy, and what did it count.

use std::fmt::Write;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use gatepost::ErrorClass;
use gatepost::status::{FileState, Status};

use crate::auth::Auth;
use crate::rejection::Rejection;

/// `GET /healthz`: 200, or 503 if the store is closed. A closed store does not open again: the
/// process has to be restarted; see [`serve`](crate::serve()).
pub fn healthz<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    Router::new().route("/healthz", get(health))
}

/// `GET /metrics`: the counts of this process, in the text format of Prometheus. It names no user;
/// even so, merge it into a router of its own, at an address that only your monitoring reaches.
pub fn metrics<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    Router::new().route("/metrics", get(counts))
}

/// Whether the store still answers.
pub(crate) fn is_open(status: &Status) -> bool {
    !matches!(
        status.file_state,
        FileState::Closed | FileState::Replaced | FileState::LocksLost | FileState::Forked
    )
}

async fn health(State(auth): State<Auth>) -> Result<&'static str, Rejection> {
    match is_open(&auth.store().status()) {
        true => Ok("ok\n"),
        false => Err(Rejection::new(
            ErrorClass::Unavailable,
            "closed",
            "The service must be restarted.",
        )),
    }
}

async fn counts(State(auth): State<Auth>) -> impl IntoResponse {
    let text = text(&auth.store().status());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        // Writing to a text never fails.
        let _ = writeln!(text, "# HELP gatepost_{name} {help}\n# TYPE gatepost_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "gatepost_{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    let size = |value: usize| one(u64::try_from(value).unwrap_or(u64::MAX));
    let by_reason = |counts: &std::collections::BTreeMap<&'static str, u64>| -> Vec<_> {
        counts.iter().map(|(reason, count)| (format!("{{reason=\"{reason}\"}}"), *count)).collect()
    };
    let open = u64::from(is_open(status));
    family("open", "gauge", "Whether the store answers (1) or is closed (0).", &one(open));
    let logins = by_reason(&status.login_refusals);
    family("login_refusals_total", "counter", "Refused logins.", &logins);
    let tokens = by_reason(&status.verify_refusals);
    family("verify_refusals_total", "counter", "Refused tokens.", &tokens);
    let missing = one(status.key_missing_refusals);
    let help = "Refused logins whose hash is sealed under a key that is missing.";
    family("key_missing_refusals_total", "counter", help, &missing);
    let done = one(status.hashes_done);
    family("hashes_total", "counter", "Password hashes computed.", &done);
    let running = size(status.hashes_running);
    family("hashes_running", "gauge", "Password hashes being computed.", &running);
    let waiting = size(status.hashes_waiting);
    family("hashes_waiting", "gauge", "Logins that wait for a hash.", &waiting);
    family("writes_total", "counter", "Writes.", &one(status.writes));
    family("commits_total", "counter", "Commits: writes share one.", &one(status.commits));
    let denied = size(status.denied);
    family("denied", "gauge", "Revocations that wait to be written.", &denied);
    family("log_bytes", "gauge", "Bytes of the write-ahead log.", &one(status.log_bytes));
    let cached = size(status.cached.unwrap_or_default());
    family("cached", "gauge", "Sessions and API keys in the cache.", &cached);
    text
}
