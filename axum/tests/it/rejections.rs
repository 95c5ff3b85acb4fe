//! Every class of failure, with its status and headers.

use std::time::Duration;

use axum::body::to_bytes;
use axum::response::IntoResponse;
use gatepost::{ErrorClass, LoginRefusal, NewUser, NotPermitted, UserId};
use gatepost_axum::{Auth, Rejection, blocking};
use serde_json::{Value, json};

use crate::world::{PASSWORD, World};

async fn body_of(rejection: Rejection) -> Value {
    let body = rejection.into_response().into_body();
    serde_json::from_slice(&to_bytes(body, 10_000).await.unwrap()).unwrap()
}

#[test]
fn each_class_has_its_status() {
    for (class, status) in [
        (ErrorClass::SignIn, 401),
        (ErrorClass::Forbidden, 403),
        (ErrorClass::NotFound, 404),
        (ErrorClass::Conflict, 409),
        (ErrorClass::Invalid, 422),
        (ErrorClass::Wait, 429),
        (ErrorClass::Unavailable, 503),
    ] {
        let response = Rejection::new(class, "a_word", "A sentence.").into_response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let asks = response.headers().contains_key("www-authenticate");
        assert_eq!(asks, status == 401, "{status}");
    }
}

#[tokio::test]
async fn the_body_is_a_problem_by_rfc_9457() {
    let found =
        body_of(Rejection::new(ErrorClass::NotFound, "no_report", "No such report.")).await;
    let detail = "No such report.";
    let expected =
        json!({"title": "Not Found", "status": 404, "detail": detail, "code": "no_report"});
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_wrong_password_is_401() {
    let answer = World::new().browser().log_in("ada", "a wrong guess").await;
    answer.is_refused(401, "invalid_credentials");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn a_locked_account_is_403() {
    let world = World::new();
    let locked = gatepost::directory::UserStatus::Locked;
    world.store.users().set_status(world.user("ada").id, locked).unwrap();
    world.browser().log_in("ada", PASSWORD).await.is_refused(403, "account_locked");
}

#[tokio::test]
async fn what_does_not_exist_is_404_and_what_is_taken_409_and_what_breaks_a_rule_422() {
    let store = World::new().store;
    let id: UserId = "019b8d62-7a80-7b44-8be2-942f01ab4078".parse().unwrap();
    let missing = Rejection::from(store.users().delete(id).unwrap_err());
    assert_eq!((missing.status().as_u16(), missing.code()), (404, "not_found"));
    let taken = Rejection::from(store.users().create(NewUser::person("ada")).unwrap_err());
    assert_eq!((taken.status().as_u16(), taken.code()), (409, "taken"));
    let short = store.users().create(NewUser::person("eve").password("short".into()));
    let short = Rejection::from(short.unwrap_err());
    assert_eq!((short.status().as_u16(), short.code()), (422, "password_rejected"));
    let body = body_of(short).await;
    assert_eq!(body["rule"], "too_short");
    assert_eq!(body["detail"], "The password is shorter than 8 characters.");
}

#[tokio::test]
async fn too_many_attempts_are_429_with_the_seconds_to_wait() {
    let world = World::new();
    let mut browser = world.browser();
    for _ in 0..5 {
        browser.log_in("ada", "a wrong guess").await.is_refused(401, "invalid_credentials");
    }
    world.clock.advance(Duration::from_millis(500));
    let answer = browser.log_in("ada", PASSWORD).await;
    answer.is_refused(429, "too_many_attempts");
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(answer.json()["retry_after"], 30);
}

#[tokio::test]
async fn a_closed_store_is_503_in_each_route() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    assert_eq!(browser.get("/healthz").await.status, 200);
    world.store.close().unwrap();
    for path in ["/mine", "/anyone", "/admin", "/reports", "/auth/me", "/auth/sessions"] {
        let answer = browser.get(path).await;
        answer.is_refused(503, "unavailable");
        // What the operator has to know is logged, and is not in the answer.
        assert_eq!(answer.json()["detail"], "The service cannot answer now.");
        assert!(answer.set_cookies().is_empty(), "{path}: could not know, so the cookie stays");
    }
    browser.post("/auth/logout", None).await.is_refused(503, "unavailable");
    browser.log_in("ada", PASSWORD).await.is_refused(503, "unavailable");
    assert!(browser.cookies.contains_key("__Host-session"));
    browser.get("/healthz").await.is_refused(503, "closed");
}

#[test]
fn a_refusal_that_asks_for_a_retry_says_when() {
    let world = World::new();
    let mut refused = None;
    // Only a refusal of the store itself carries a time.
    for _ in 0..6 {
        let device = gatepost::DeviceId::random().unwrap();
        let request = gatepost::LoginRequest::new("eve", "a wrong guess".into(), device);
        refused = world.store.log_in(request).unwrap().granted().err();
    }
    let refused = refused.unwrap();
    assert!(matches!(refused, LoginRefusal::TooManyAttempts { .. }), "{refused:?}");
    assert_eq!(Rejection::from(refused).retry_after(), refused.retry_after());
    assert_eq!(Rejection::from(LoginRefusal::DeviceInUse).status(), 409);
    assert_eq!(Rejection::from(NotPermitted::Ended).status(), 401);
    assert_eq!(Rejection::from(NotPermitted::Denied).status(), 403);
}

#[tokio::test]
#[should_panic(expected = "of the work")]
async fn a_panic_of_blocking_work_is_a_panic_of_the_request() {
    let work = || -> Result<(), Rejection> { panic!("of the work") };
    let _ = blocking(work).await;
}

#[test]
fn a_rejection_is_an_error_with_a_sentence() {
    let rejection: Box<dyn std::error::Error> = Box::new(Rejection::from(NotPermitted::Denied));
    assert_eq!(rejection.to_string(), "You may not do this.");
    let auth = Auth::new(World::new().store);
    assert!(!auth.allow_origin("x").unwrap_err().to_string().is_empty());
}
