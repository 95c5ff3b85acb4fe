//! A request that was under way with the old token when the browser got a newer one.
//!
//! Its answer reaches the browser after the newer cookie: it must not remove that one. `old` is the
//! browser as it was when it sent the request.

use serde_json::json;

use crate::world::{Answer, Browser, PASSWORD, World};

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
