//! A request that was under way with the old token when the browser got a newer one.
//!
//! Its answer reaches the browser after the newer cookie: it must neither remove nor replace that
//! one. `old` is the browser as it was when it sent the request.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use axum::{Extension, Router};
use gatepost_axum::{Auth, Client, LoggedIn, Rejection, Renewed, SignedIn};
use serde_json::json;
use tokio::sync::Notify;

use crate::world::{Answer, Browser, PASSWORD, World, app};

const SESSION: &str = "__Host-session";

/// The answers of an extractor, of an optional one and of a page behind a guard.
async fn refused(old: &Browser) -> [Answer; 3] {
    let mut answers = Vec::new();
    for path in ["/mine", "/anyone", "/pages/report"] {
        answers.push(old.clone().get(path).await);
    }
    let answers: [Answer; 3] = answers.try_into().unwrap();
    let statuses = answers.each_ref().map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [401, 401, 303]);
    answers
}

/// Sends requests with the old token, and checks that the browser keeps the newer one until the
/// session has ended.
async fn keeps_the_newer(world: &World, old: &Browser, browser: &mut Browser) {
    assert_ne!(old.cookies[SESSION], browser.cookies[SESSION]);
    for answer in refused(old).await {
        assert!(answer.set_cookies().is_empty(), "{answer:?}");
    }
    assert_eq!(browser.get("/mine").await.status, 200);
    world.store.sessions().revoke_all(gatepost::Subtree::Store).unwrap();
    for browser in [old, &*browser] {
        for answer in refused(browser).await {
            assert!(answer.clears_the_cookie(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_a_proof_or_a_new_password_superseded_removes_no_newer_cookie() {
    let change = json!({"current_password": PASSWORD, "new_password": "nine brass bells"});
    for (path, body) in [("prove", json!({ "password": PASSWORD })), ("change-password", change)] {
        let world = World::new();
        let mut browser = world.browser().signed_in("ada").await;
        let old = browser.clone();
        let answer = browser.post(&format!("/auth/{path}"), Some(body)).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        keeps_the_newer(&world, &old, &mut browser).await;
    }
}

#[tokio::test]
async fn a_token_from_before_another_login_in_the_browser_removes_no_newer_cookie() {
    for (name, logs_out) in [("ada", false), ("ada", true), ("bob", false)] {
        let world = World::new();
        let mut browser = world.browser().signed_in("ada").await;
        let old = browser.clone();
        if logs_out {
            browser.post("/auth/logout", None).await;
        }
        let mut browser = browser.signed_in(name).await;
        keeps_the_newer(&world, &old, &mut browser).await;
    }
}

#[tokio::test]
async fn a_session_of_another_browser_keeps_no_cookie() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let mut phone = world.browser().signed_in("ada").await;
    phone.post("/auth/sessions/revoke-others", None).await;
    assert!(browser.get("/mine").await.clears_the_cookie());
    assert_eq!(phone.get("/mine").await.status, 200);
}

/// Why a token is refused is for operators: the client sees whether its cookie goes.
#[tokio::test]
async fn the_answer_says_nothing_else_of_why_the_token_is_refused() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let old = browser.clone();
    browser.post("/auth/prove", Some(json!({ "password": PASSWORD }))).await;
    let superseded = refused(&old).await;
    world.store.sessions().revoke_all(world.user("ada").id).unwrap();
    let revoked = refused(&old).await;
    for (mut one, mut other) in superseded.into_iter().zip(revoked) {
        assert!(one.headers.remove("set-cookie").is_none());
        assert!(other.headers.remove("set-cookie").is_some());
        assert_eq!((one.headers, one.body), (other.headers, other.body));
    }
}

/// A header is no cookie: nothing is asked and nothing removed.
#[tokio::test]
async fn a_refused_header_removes_no_cookie() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    world.store.sessions().revoke_all(world.user("ada").id).unwrap();
    for header in ["Bearer gps_other", "Basic ?"] {
        for answer in refused(&browser.clone().header("authorization", header)).await {
            assert!(answer.set_cookies().is_empty(), "{answer:?}");
        }
    }
}

/// Work of a handler after the call of the store whose cookie it sets.
#[derive(Default)]
struct Work {
    begun: Notify,
    done: Notify,
}

impl Work {
    async fn run(&self) {
        self.begun.notify_one();
        self.done.notified().await;
    }

    /// The answer to a request whose work lasts until another request was answered.
    async fn late(
        &self,
        request: impl Future<Output = Answer>,
        other: impl Future<Output = ()>,
    ) -> Answer {
        let other = async {
            self.begun.notified().await;
            other.await;
            self.done.notify_one();
        };
        tokio::join!(request, other).0
    }
}

async fn stay(
    me: SignedIn,
    Extension(work): Extension<Arc<Work>>,
) -> Result<(Renewed, ()), Rejection> {
    let renewed = me.renew().await?;
    work.run().await;
    Ok((renewed, ()))
}

async fn log_in(
    client: Client,
    Extension(work): Extension<Arc<Work>>,
) -> Result<(LoggedIn, ()), Rejection> {
    let logged_in = client.log_in("ada", PASSWORD.into()).await?;
    work.run().await;
    Ok((logged_in, ()))
}

fn slow() -> (World, Arc<Work>) {
    let (world, work) = (World::new(), Arc::<Work>::default());
    let auth = Auth::new(world.store.clone());
    let routes = Router::new().route("/slow/stay", post(stay)).route("/slow/login", post(log_in));
    let routes = routes.layer(Extension(Arc::clone(&work))).with_state(auth.clone());
    (World { app: app(auth).merge(routes), ..world }, work)
}

/// Once it put the old token over the newer one, and the browser was refused from then on.
#[tokio::test]
async fn a_renewal_with_a_token_that_is_superseded_meanwhile_sets_no_cookie() {
    for (path, sets) in [("/mine", 1), ("/auth/prove", 0), ("/auth/logout", 0), ("/auth/login", 0)]
    {
        let (world, work) = slow();
        let mut browser = world.browser();
        browser.get(&format!("/provider/{}", world.user("ada").id)).await;
        world.clock.advance(Duration::from_secs(20 * 3_600));
        let mut old = browser.clone();
        let other = async {
            let body = json!({ "username": "ada", "password": PASSWORD });
            let answer = browser.post(path, Some(body)).await;
            assert!(answer.status.is_success(), "{path} {}", answer.body);
        };
        let answer = work.late(old.post("/slow/stay", None), other).await;
        assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, sets), "{path}");
    }
}

#[tokio::test]
async fn a_login_whose_session_has_ended_meanwhile_sets_no_cookie() {
    let (world, work) = slow();
    let mut browser = world.browser().signed_in("ada").await;
    let mut old = browser.clone();
    let other = async { drop(browser.log_in("ada", PASSWORD).await) };
    let answer = work.late(old.post("/slow/login", None), other).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies()), (200, vec![]));
    assert_eq!(browser.get("/mine").await.status, 200);
}

/// Once it put its device under the newer session, and the browser was signed out.
#[tokio::test]
async fn a_late_login_of_a_browser_without_cookies_leaves_a_newer_session_its_device() {
    let (world, work) = slow();
    let (mut browser, mut old) = (world.browser(), world.browser());
    let other = async {
        assert_eq!(browser.log_in("ada", PASSWORD).await.status, 200);
        let answer = browser.post("/auth/sessions/revoke-others", None).await;
        assert!(answer.status.is_success(), "{}", answer.body);
    };
    let answer = work.late(old.post("/slow/login", None), other).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies()), (200, vec![]));
    assert_eq!(browser.get("/mine").await.status, 200);
}

/// As long as no newer session is there, both cookies are set.
#[tokio::test]
async fn a_late_login_whose_session_is_open_sets_both_cookies() {
    let (world, work) = slow();
    let mut browser = world.browser();
    let answer = work.late(browser.post("/slow/login", None), async {}).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 2));
    assert_eq!(browser.get("/mine").await.status, 200);
}
