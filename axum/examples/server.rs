//! A JSON server on the adapter. `cargo run -p gatepost-axum --example server` asks for the first
//! administrator's password and serves <http://127.0.0.1:8080>.

use std::error::Error;
use std::io;

use axum::extract::Path;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use gatepost::directory::UserStatus;
use gatepost::{NewUser, Options, Password, Store, Subtree, User, UserId};
use gatepost_axum::{Admin, ApiKey, Auth, Privilege, Privileged, Rejection};
use gatepost_axum::{healthz, routes, serve};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;

/// The origin of the page whose script calls this server.
pub(crate) const PAGE: &str = "https://app.example.com";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Store::open("auth.db", Options::web())?;
    if store.users().find_by_username("root")?.is_none() {
        println!("Choose a password for the first administrator, root:");
        let mut typed = String::new();
        io::stdin().read_line(&mut typed)?;
        let root = NewUser::person("root").privilege("admin");
        store.users().create(root.password(typed.trim_end().into()))?;
    }
    let auth = Auth::new(store).allow_origin(PAGE)?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    Ok(serve(&auth, listener, app(auth.clone())).await?)
}

pub(crate) fn app(auth: Auth) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static(PAGE))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([CONTENT_TYPE])
        .expose_headers([RETRY_AFTER]);
    Router::new()
        .nest("/auth", routes::all())
        .route("/admin/users", post(create_user))
        .route("/admin/users/{id}/disable", post(disable_user))
        .route("/admin/revoke-all", post(revoke_all))
        .route("/reports", get(reports))
        .route("/export", get(export))
        .merge(healthz())
        .layer(cors)
        .with_state(auth)
}

#[derive(Deserialize)]
struct Account {
    username: String,
    password: Password,
    privileges: Vec<String>,
}

async fn create_user(
    admin: Admin,
    Json(account): Json<Account>,
) -> Result<(StatusCode, Json<User>), Rejection> {
    let create = |store: &Store| {
        let new = NewUser::person(account.username).privileges(account.privileges);
        store.users().create(new.password(account.password))
    };
    Ok((StatusCode::CREATED, Json(admin.blocking(create).await?)))
}

async fn disable_user(admin: Admin, Path(id): Path<UserId>) -> Result<StatusCode, Rejection> {
    admin.blocking(move |store| store.users().set_status(id, UserStatus::Disabled)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke_all(admin: Admin) -> Result<StatusCode, Rejection> {
    admin.blocking(|store| store.sessions().revoke_all(Subtree::Store)).await?;
    Ok(StatusCode::NO_CONTENT)
}

struct ReadReports;

impl Privilege for ReadReports {
    const NAME: &'static str = "reports.read";
}

/// A person by cookies, a program by a `Basic` or `Bearer` header.
async fn reports(reader: Privileged<ReadReports>) -> Json<UserId> {
    Json(reader.principal.user)
}

/// A program alone, by its API key.
async fn export(key: ApiKey) -> Json<UserId> {
    Json(key.principal.user)
}
