//! A second server that shares the authentication of the first: `cargo run --bin guest`, beside
//! `cargo run -- --demo`, then open <http://localhost:8081>.
//!
//! It has no store and knows no password. It passes the caller's credential on to the verify
//! endpoint of the first server at each request, so a logout there is in force here at once.

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve};
use clap::Parser;
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Where to listen; port 0 is any free port
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: std::net::SocketAddr,
    /// The address of the first server
    #[arg(long, default_value = "http://localhost:8080")]
    server: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = Router::new().route("/", get(hello)).with_state(arguments);
    Ok(serve(listener, app).await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verified {
    username: Option<String>,
}

/// It only reads, so a request of another site does no harm. For anything else, check the origin.
async fn hello(State(arguments): State<Arguments>, headers: HeaderMap) -> Response {
    let asked = tokio::task::spawn_blocking(move || ask(&arguments.server, &headers)).await;
    let (status, text) = match asked {
        Ok(Ok(Some(name))) => {
            (StatusCode::OK, format!("Hello, {name}. I am the second server.\n"))
        }
        Ok(Ok(None)) => (StatusCode::UNAUTHORIZED, "Sign in at the first server.\n".to_owned()),
        // Not knowing is neither yes nor no.
        _ => (StatusCode::SERVICE_UNAVAILABLE, "Try again later.\n".to_owned()),
    };
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}

/// The name of the caller; `None` if the first server refuses the credential.
fn ask(server: &str, headers: &HeaderMap) -> Result<Option<String>, ureq::Error> {
    let mut request = ureq::get(format!("{server}/VPE/session/verify/"));
    for name in [AUTHORIZATION, COOKIE] {
        for value in headers.get_all(&name) {
            request = request.header(&name, value);
        }
    }
    match request.call() {
        Ok(mut answer) => Ok(answer.body_mut().read_json::<Verified>()?.username),
        Err(ureq::Error::StatusCode(401 | 403)) => Ok(None),
        Err(error) => Err(error),
    }
}
