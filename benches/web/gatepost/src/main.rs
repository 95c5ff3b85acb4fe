//! A route without a check and one that knows its caller, on Gatepost. Prints the address, and the
//! cookies of a caller who is signed in; `scripts/load` asks for both routes.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, NewUser, Options, Store};
use gatepost_axum::{Auth, SignedIn, serve};
use tokio::net::TcpListener;

/// As many as in the other server.
const USERS: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path().join("auth.db"), Options::web())?;
    let mut cookies = String::new();
    for number in 0..USERS {
        let user = store.users().create(NewUser::person(format!("user-{number}")))?.id;
        let device = DeviceId::random()?;
        let reply = store.sessions().open(OpenSession::new(user, device.clone()))?.granted()?;
        let token = reply.session.token.expose();
        cookies = format!("__Host-session={token}; __Host-device={}", device.as_str());
    }
    let auth = Auth::new(store);
    let app = Router::new()
        .route("/bare", get(async || "0".repeat(36)))
        .route("/mine", get(async |me: SignedIn| me.principal.user.to_string()))
        .with_state(auth.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{} {cookies}", listener.local_addr()?);
    Ok(serve(&auth, listener, app).await?)
}
