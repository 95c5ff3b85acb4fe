//! Handlers of `tower-sessions` over the data of the caller's session.

use std::future::pending;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use gatepost::sessions::{Reauthentication, SessionFilter, Version};
use gatepost_axum::{Auth, Client, LoggedIn, LoggedOut, Rejection, SignedIn, with_session_data};
use serde_json::json;
use tokio::sync::Notify;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use crate::world::{Browser, PASSWORD, World, app};

/// The handlers of a program of `tower-sessions`, with its own layer outside, for visitors.
fn world() -> World {
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let routes = Router::new()
        .route("/visits", get(visits).post(visits))
        .route("/id", get(async |session: Session| format!("{:?}", session.id())))
        .route("/cycle", post(async |session: Session| session.cycle_id().await.unwrap()))
        .route("/cycle/{then}", post(cycle_and))
        .route("/delete", post(async |session: Session| session.delete().await.unwrap()))
        .route("/delete-and-visit", post(delete_and_visit))
        .route("/flush", post(async |session: Session| session.flush().await.unwrap()))
        .route("/remove", post(remove))
        .route("/fail", post(fail))
        .route(
            "/large",
            post(async |session: Session| {
                session.insert("large", "x".repeat(5_000)).await.unwrap();
            }),
        )
        .route("/race", post(race))
        .route("/prove-and-race", post(prove_and_race))
        .route("/prove-and-grow", post(prove_and_grow))
        .route("/leave", post(leave));
    let routes = with_session_data(routes, auth.clone()).with_state(auth.clone());
    let visitors = SessionManagerLayer::new(MemoryStore::default());
    let app = app(auth).merge(routes.layer(visitors));
    World { app, ..world }
}

async fn visits(session: Session) -> String {
    let visits = session.get::<u32>("visits").await.unwrap().unwrap_or(0) + 1;
    session.insert("visits", visits).await.unwrap();
    visits.to_string()
}

/// A new id, and then a failure or one more change.
async fn cycle_and(state: State<Auth>, session: Session, Path(then): Path<String>) -> StatusCode {
    session.cycle_id().await.unwrap();
    match then.as_str() {
        "fail" => return StatusCode::INTERNAL_SERVER_ERROR,
        "grow" => session.insert("large", "x".repeat(5_000)).await.unwrap(),
        "race" => race(state, session).await,
        "reload" => {
            session.save().await.unwrap();
            session.load().await.unwrap();
        }
        _ => {
            CYCLED.notify_one();
            pending().await
        }
    }
    StatusCode::OK
}

/// Notified by a handler that never answers.
static CYCLED: Notify = Notify::const_new();

async fn delete_and_visit(session: Session) -> String {
    session.delete().await.unwrap();
    visits(session).await
}

async fn remove(session: Session) -> String {
    format!("{:?}", session.remove::<u32>("visits").await.unwrap())
}

async fn fail(session: Session) -> StatusCode {
    session.insert("visits", 1_000).await.unwrap();
    StatusCode::INTERNAL_SERVER_ERROR
}

/// A logout as programs of `tower-sessions` have it, and then the session's own.
async fn leave(client: Client, session: Session) -> Result<(LoggedOut, ()), Rejection> {
    session.flush().await.unwrap();
    Ok((client.log_out().await?, ()))
}

/// A proof, whose new token the answer has, and data that is not kept.
async fn prove_and_race(
    state: State<Auth>,
    session: Session,
    me: SignedIn,
) -> Result<(LoggedIn, ()), Rejection> {
    race(state, session).await;
    Ok((me.prove(Reauthentication::password(PASSWORD)).await?, ()))
}

async fn prove_and_grow(session: Session, me: SignedIn) -> Result<(LoggedIn, ()), Rejection> {
    session.insert("large", "x".repeat(5_000)).await.unwrap();
    Ok((me.prove(Reauthentication::password(PASSWORD)).await?, ()))
}

/// Another request writes while this one runs.
async fn race(State(auth): State<Auth>, session: Session) {
    session.insert("visits", 5).await.unwrap();
    let sessions = auth.store().sessions();
    let id = sessions.iter(&SessionFilter::new()).next().unwrap().unwrap().id;
    let version = sessions.data_json(id).unwrap().map_or(Version::NONE, |data| data.version);
    sessions.set_data_json(id, r#"{"visits": 70}"#, version).unwrap();
}

fn stored(world: &World) -> serde_json::Value {
    let sessions = world.store.sessions();
    let id = sessions.iter(&SessionFilter::new()).next().unwrap().unwrap().id;
    sessions.data(id).unwrap().map_or(json!(null), |data| data.value)
}

async fn visit(browser: &mut Browser) -> String {
    browser.get("/visits").await.body
}

#[tokio::test]
async fn the_data_is_that_of_the_callers_session_and_ends_with_it() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    for expected in ["1", "2", "3"] {
        let answer = ada.get("/visits").await;
        assert_eq!((answer.body.as_str(), answer.set_cookies().len()), (expected, 0));
    }
    assert_eq!(stored(&world), json!({ "visits": 3 }));
    ada.post("/auth/logout", None).await;
    let mut ada = ada.signed_in("ada").await;
    assert_eq!(visit(&mut ada).await, "1");
}

#[tokio::test]
async fn the_data_of_two_callers_is_apart_and_visitors_keep_their_own_layer() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    let mut bob = world.browser().signed_in("bob").await;
    let mut visitor = world.browser();
    for expected in ["1", "2"] {
        for browser in [&mut ada, &mut bob, &mut visitor] {
            assert_eq!(visit(browser).await, expected);
        }
    }
    assert!(visitor.cookies.contains_key("id"), "the cookie of the other layer");
    assert!(!ada.cookies.contains_key("id"));
}

#[tokio::test]
async fn a_cookie_of_the_other_layer_opens_no_data_of_a_session() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    let id = ada.get("/id").await.body;
    let number: i128 = id.trim_matches(|c: char| !c.is_ascii_digit() && c != '-').parse().unwrap();
    let mut thief = world.browser();
    let forged = tower_sessions::session::Id(number).to_string();
    thief.cookies.insert("id".to_owned(), forged);
    assert_eq!(visit(&mut thief).await, "1", "a new session of the other layer");
}

#[tokio::test]
async fn cycling_keeps_the_data_and_removing_or_flushing_empties_it() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    assert_eq!(ada.post("/cycle", None).await.status, 200);
    assert_eq!(visit(&mut ada).await, "2");
    assert_eq!(ada.post("/remove", None).await.body, "Some(2)");
    assert_eq!(stored(&world), json!({}));
    visit(&mut ada).await;
    assert_eq!(ada.post("/flush", None).await.status, 200);
    assert_eq!(stored(&world), json!({}));
    assert_eq!(visit(&mut ada).await, "1", "she is still signed in");
}

/// Once the data was emptied at once and came back after the handler, if it came back.
#[tokio::test]
async fn cycling_in_a_request_that_fails_keeps_the_data() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    for (then, status) in [("reload", 200), ("fail", 500), ("grow", 422)] {
        assert_eq!(ada.post(&format!("/cycle/{then}"), None).await.status, status);
        assert_eq!(stored(&world), json!({ "visits": 1 }), "{then}");
    }
    tokio::select! {
        _ = ada.post("/cycle/wait", None) => {}
        () = CYCLED.notified() => {}
    }
    assert_eq!(stored(&world), json!({ "visits": 1 }), "the client has gone away");
    ada.post("/cycle/race", None).await.is_refused(409, "stale");
    assert_eq!(stored(&world), json!({ "visits": 70 }));
}

#[tokio::test]
async fn data_that_a_handler_deletes_is_gone_after_it_and_for_it_at_once() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    visit(&mut ada).await;
    assert_eq!(ada.post("/delete-and-visit", None).await.body, "1");
    assert_eq!(stored(&world), json!({ "visits": 1 }));
    assert_eq!(ada.post("/delete", None).await.status, 200);
    assert_eq!(stored(&world), json!({}));
}

#[tokio::test]
async fn a_handler_that_empties_the_data_and_logs_out_is_answered_as_it_says() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    let answer = ada.post("/leave", None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.clears_the_cookie());
    ada.get("/mine").await.is_refused(401, "sign_in");
}

#[tokio::test]
async fn a_change_that_another_request_made_meanwhile_is_not_lost() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    ada.post("/race", None).await.is_refused(409, "stale");
    assert_eq!(visit(&mut ada).await, "71");
}

/// Once the new token was lost, and the browser kept one that is refused.
#[tokio::test]
async fn an_answer_in_the_place_of_the_handlers_has_its_cookies() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    for (path, status, code) in
        [("/prove-and-race", 409, "stale"), ("/prove-and-grow", 422, "invalid")]
    {
        visit(&mut ada).await;
        let old = ada.cookies["__Host-session"].clone();
        let answer = ada.post(path, None).await;
        answer.is_refused(status, code);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_ne!(ada.cookies["__Host-session"], old, "{path}");
        assert_eq!(ada.get("/mine").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn data_is_not_kept_if_the_handler_fails_or_it_is_too_large() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    assert_eq!(ada.post("/fail", None).await.status, 500);
    ada.post("/large", None).await.is_refused(422, "invalid");
    assert_eq!(visit(&mut ada).await, "2");
}

#[tokio::test]
async fn a_refused_credential_is_no_visitor_and_another_site_changes_nothing() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    let mut forged = ada.clone().header("sec-fetch-site", "cross-site");
    forged.post("/visits", None).await.is_refused(403, "cross_site_request");
    assert_eq!(stored(&world), json!({ "visits": 1 }));
    world.store.sessions().revoke_all(world.user("ada").id).unwrap();
    let answer = ada.get("/visits").await;
    answer.is_refused(401, "invalid_token");
    assert!(answer.clears_the_cookie());
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503() {
    let world = world();
    let mut ada = world.browser().signed_in("ada").await;
    visit(&mut ada).await;
    world.store.close().unwrap();
    ada.get("/visits").await.is_refused(503, "unavailable");
}
