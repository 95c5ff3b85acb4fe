//! No secret in a log, in `Debug`, in an error or in a body.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use gatepost::Password;
use gatepost_axum::{Auth, Client, Rejection, SignedIn, routes};
use serde_json::json;

use crate::world::{PASSWORD, World, app};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

async fn debug_of_all(State(auth): State<Auth>, client: Client, me: SignedIn) -> String {
    format!("{auth:?} {client:?} {me:?} {:?}", me.clone().principal)
}

async fn debug_of_a_login(client: Client) -> Result<String, Rejection> {
    let logged_in = client.log_in("ada", Password::from(PASSWORD)).await?;
    let logged_out = client.log_out().await?;
    Ok(format!("{logged_in:?} {logged_out:?}"))
}

#[tokio::test]
async fn no_secret_is_logged_or_shown() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let shown = Router::new()
        .route("/all", get(debug_of_all))
        .route("/login", post(debug_of_a_login))
        .with_state(auth.clone());
    let store = world.store.clone();
    let (queue, mails) = std::sync::mpsc::channel();
    let routes = routes::one_time_tokens(move |mail| {
        tracing::info!("{mail:?}");
        queue.send(mail).unwrap();
    });
    let routes = routes.with_state(auth.clone());
    let headers = axum::middleware::map_response(|answer: Response| async move {
        tracing::info!("{:?}", answer.headers());
        answer
    });
    let world = World { app: shown.merge(app(auth)).merge(routes).layer(headers), ..world };
    store.users().set_email(world.user("bob").id, Some("bob@example.com")).unwrap();
    let mut browser = world.browser().signed_in("ada").await;
    let first = browser.get("/all").await.body;
    assert!(first.contains("SignedIn") && first.contains("Client"), "{first}");
    let second = browser.post("/login", None).await.body;
    assert!(second.contains("LoggedIn"), "{second}");
    let mut bodies = vec![first, second];
    browser.log_in("ada", PASSWORD).await;
    let (token, device) =
        (browser.cookies["__Host-session"].clone(), browser.cookies["__Host-device"].clone());
    let body = json!({"current_password": "hunter2-hunter2", "new_password": PASSWORD});
    bodies.push(browser.post("/auth/change-password", Some(body)).await.body);
    let body = json!({"current_password": PASSWORD, "new_password": "hunter2-hunter2"});
    bodies.push(browser.post("/auth/change-password", Some(body)).await.body);
    let second = browser.cookies["__Host-session"].clone();
    assert_ne!(second, token);
    bodies.push(browser.get("/auth/me").await.body);
    bodies.push(browser.log_in("ada", PASSWORD).await.body);
    let body = json!({"username": "bob"});
    bodies.push(browser.post("/request-password-reset", Some(body)).await.body);
    let reset = mails.recv_timeout(std::time::Duration::from_secs(60)).unwrap().token;
    let reset = reset.expose().to_owned();
    for new in ["hunter2", PASSWORD, PASSWORD] {
        let body = json!({"token": reset, "new_password": new});
        bodies.push(browser.post("/reset-password", Some(body)).await.body);
    }
    store.close().unwrap();
    bodies.push(browser.get("/mine").await.body);
    let logged = log.text();
    assert!(logged.contains("the store is closed"), "{logged}");
    assert!(logged.contains("ResetMail") && logged.contains("set-cookie"), "{logged}");
    for secret in [&token, &second, &device, &reset, PASSWORD, "hunter2"] {
        assert!(!logged.contains(secret), "logged");
        for body in &bodies {
            assert!(!body.contains(secret), "{body}");
        }
    }
}
