//! The same two routes on axum-login, with its session store over SQLite: as its documentation
//! shows, on a write-ahead log and with the pool's default of ten connections.

use std::error::Error;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use axum_login::tower_sessions::SessionManagerLayer;
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, UserId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_sessions_sqlx_store::SqliteStore;

/// As many as in the other server.
const USERS: i64 = 1_000;

#[derive(Debug, Clone, sqlx::FromRow)]
struct User {
    id: i64,
    password: String,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

#[derive(Debug, Clone)]
struct Backend {
    pool: SqlitePool,
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = i64;
    type Error = sqlx::Error;

    /// No password: only what a request costs after the login is measured.
    async fn authenticate(&self, id: i64) -> Result<Option<User>, sqlx::Error> {
        self.get_user(&id).await
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, sqlx::Error> {
        let found = sqlx::query_as("SELECT id, password FROM user WHERE id = ?");
        found.bind(id).fetch_optional(&self.pool).await
    }
}

type Session = AuthSession<Backend>;

async fn log_in(mut session: Session, Path(id): Path<i64>) -> Result<(), StatusCode> {
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let user = session.authenticate(id).await.map_err(failed)?;
    session.login(&user.ok_or(StatusCode::UNAUTHORIZED)?).await.map_err(failed)
}

async fn mine(session: Session) -> Result<String, StatusCode> {
    let user = session.user.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(format!("{:036}", user.id))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("auth.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePool::connect_with(options).await?;
    sqlx::query("CREATE TABLE user (id INTEGER PRIMARY KEY, password TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    let store = SqliteStore::new(pool.clone());
    store.migrate().await?;
    let sessions = SessionManagerLayer::new(store);
    let auth = AuthManagerLayerBuilder::new(Backend { pool: pool.clone() }, sessions).build();
    let app = Router::new()
        .route("/mine", get(mine))
        .route("/log-in/{id}", post(log_in))
        .layer(auth)
        .route("/bare", get(async || "0".repeat(36)));
    let mut cookie = String::new();
    for id in 0..USERS {
        let insert = sqlx::query("INSERT INTO user VALUES (?, 'hash')");
        insert.bind(id).execute(&pool).await?;
        let request = Request::post(format!("/log-in/{id}")).body(Body::empty())?;
        let answer = app.clone().oneshot(request).await?;
        let set = answer.headers().get("set-cookie").ok_or("no cookie")?.to_str()?;
        cookie = set.split(';').next().unwrap_or_default().to_owned();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{} {cookie}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
