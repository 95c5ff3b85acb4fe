//! A second server that shares the authentication of the first: `cargo run --bin guest`, beside
//! `cargo run -- --demo`, then open <http://localhost:8081>.
//!
//! It has data without names: measurements, under the ids of users. It has no store and knows no
//! password and no username. It passes the caller's credential on to the verify endpoint of the
//! first server at each request, and takes the user id of the answer, never one of the request. So
//! a logout there is in force here at once, and a copy of this data names no person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve};
use clap::Parser;
use gatepost::UserId;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_http::cors::{Any, CorsLayer};

#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Where to listen; port 0 is any free port
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: std::net::SocketAddr,
    /// The address of the first server
    #[arg(long, default_value = "http://localhost:8080")]
    server: String,
}

/// How long the first server may take to answer. No request waits longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Measurements of one user that are kept.
const MEASUREMENTS_MAX: usize = 100;

#[derive(Clone)]
struct Guest {
    server: Arc<str>,
    measurements: Arc<Mutex<HashMap<UserId, Vec<i32>>>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let guest = Guest { server: arguments.server.into(), measurements: Arc::default() };
    // A page of any origin may call it: it reads no cookie of a request that another origin made.
    let cors = CorsLayer::new().allow_origin(Any).allow_headers([AUTHORIZATION]);
    let app = Router::new().route("/", get(read).post(add)).layer(cors).with_state(guest);
    Ok(serve(listener, app).await?)
}

/// It only reads, so a request of another site does no harm.
async fn read(State(guest): State<Guest>, headers: HeaderMap) -> Response {
    match verified(&guest, headers).await {
        Ok(user) => guest.answer(user, None),
        Err(refused) => refused,
    }
}

/// A measurement, as a number in the body. It takes no cookie, which another site could have sent.
async fn add(State(guest): State<Guest>, mut headers: HeaderMap, body: String) -> Response {
    headers.remove(COOKIE);
    let user = match verified(&guest, headers).await {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    match body.trim().parse() {
        Ok(number) => guest.answer(user, Some(number)),
        Err(_) => text(StatusCode::UNPROCESSABLE_ENTITY, "Send a whole number.\n".to_owned()),
    }
}

impl Guest {
    fn answer(&self, user: UserId, new: Option<i32>) -> Response {
        let mut all = self.measurements.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = new {
            let of_user = all.entry(user).or_default();
            if of_user.len() == MEASUREMENTS_MAX {
                return text(StatusCode::CONFLICT, "There are 100 already.\n".to_owned());
            }
            of_user.push(new);
        }
        let of_user = all.get(&user).map_or(&[] as &[i32], Vec::as_slice);
        let (number, sum) = (of_user.len(), of_user.iter().copied().map(i64::from).sum::<i64>());
        text(StatusCode::OK, format!("You are user {user}: {number} measurements, sum {sum}.\n"))
    }
}

fn text(status: StatusCode, text: String) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}

/// The caller, or the answer to one who is not signed in at the first server.
async fn verified(guest: &Guest, headers: HeaderMap) -> Result<UserId, Response> {
    let server = Arc::clone(&guest.server);
    match tokio::task::spawn_blocking(move || ask(&server, &headers)).await {
        Ok(Ok(Some(user))) => Ok(user),
        Ok(Ok(None)) => {
            let sentence = "Sign in at the first server.\n".to_owned();
            Err(text(StatusCode::UNAUTHORIZED, sentence))
        }
        // Not knowing is neither yes nor no.
        _ => Err(text(StatusCode::SERVICE_UNAVAILABLE, "Try again later.\n".to_owned())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verified {
    user_id: Option<UserId>,
}

/// The id of the caller; `None` if the first server refuses the credential.
fn ask(server: &str, headers: &HeaderMap) -> Result<Option<UserId>, ureq::Error> {
    let request = ureq::get(format!("{server}/VPE/session/verify/"));
    let mut request = request.config().timeout_global(Some(ANSWER_WITHIN)).build();
    for name in [AUTHORIZATION, COOKIE] {
        for value in headers.get_all(&name) {
            request = request.header(&name, value);
        }
    }
    match request.call() {
        Ok(mut answer) => Ok(answer.body_mut().read_json::<Verified>()?.user_id),
        Err(ureq::Error::StatusCode(401 | 403)) => Ok(None),
        Err(error) => Err(error),
    }
}
