//! The ready routes.

use axum::Router;
use axum::http::Method;
use gatepost_axum::{Auth, routes};
use serde_json::json;

use crate::world::{PASSWORD, World, exchange};

#[tokio::test]
async fn me_is_the_caller_with_its_profile() {
    let world = World::new();
    let mut browser = world.browser().signed_in("root").await;
    let answer = browser.get("/auth/me").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let me = answer.json();
    assert_eq!(me["principal"]["is_admin"], true);
    assert_eq!(me["principal"]["user"], world.user("root").id.to_string());
    assert_eq!(me["profile"]["user"]["username"], "root");
}

#[tokio::test]
async fn the_callers_sessions_are_listed_with_the_current_one_marked() {
    let world = World::new();
    let mut browser = world.browser().header("user-agent", "Firefox").signed_in("ada").await;
    let mut phone = world.browser().header("user-agent", "Phone").signed_in("ada").await;
    world.browser().signed_in("bob").await;
    for (one, agent) in [(&mut browser, "Firefox"), (&mut phone, "Phone")] {
        let sessions = one.get("/auth/sessions").await.json();
        let sessions = sessions.as_array().unwrap();
        assert_eq!(sessions.len(), 2);
        let current: Vec<_> = sessions.iter().filter(|one| one["current"] == true).collect();
        assert_eq!(current.len(), 1);
        assert_eq!(current[0]["client_info"]["user_agent"], agent);
    }
}

#[tokio::test]
async fn one_session_of_the_caller_is_revoked_and_no_other() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let mut phone = world.browser().signed_in("ada").await;
    let mut bob = world.browser().signed_in("bob").await;
    let list = phone.get("/auth/sessions").await.json();
    let current = list.as_array().unwrap().iter().find(|one| one["current"] == true).unwrap();
    let path = format!("/auth/sessions/{}", current["id"].as_str().unwrap());
    // The answer does not say whether there is such a session.
    assert_eq!(bob.delete(&path).await.status, 204);
    assert_eq!(phone.get("/mine").await.status, 200);
    assert_eq!(browser.delete(&path).await.status, 204);
    phone.get("/mine").await.is_refused(401, "invalid_token");
    assert_eq!(browser.get("/mine").await.status, 200);
    browser.delete("/auth/sessions/no-id").await.is_refused(404, "not_found");
}

#[tokio::test]
async fn the_other_sessions_are_revoked() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let mut phone = world.browser().signed_in("ada").await;
    assert_eq!(browser.post("/auth/sessions/revoke-others", None).await.status, 204);
    phone.get("/mine").await.is_refused(401, "invalid_token");
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn a_changed_password_gives_this_session_a_new_token_and_ends_the_others() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let mut phone = world.browser().signed_in("ada").await;
    let mut before = browser.clone();
    let change = |current: &str, new: &str| {
        Some(json!({ "current_password": current, "new_password": new }))
    };
    let wrong = browser.post("/auth/change-password", change("wrong", "nine brass bells")).await;
    wrong.is_refused(403, "wrong_current_password");
    assert_eq!(browser.get("/mine").await.status, 200, "the session is still valid");
    let short = browser.post("/auth/change-password", change(PASSWORD, "short")).await;
    short.is_refused(422, "password_rejected");
    let done = browser.post("/auth/change-password", change(PASSWORD, "nine brass bells")).await;
    assert_eq!(done.status, 200);
    let token = &browser.cookies["__Host-session"];
    let cookie = format!("__Host-session={token}; HttpOnly; SameSite=Lax; Secure; Path=/; ");
    assert_eq!(done.set_cookies(), [cookie + "Max-Age=2592000"]);
    assert_eq!(browser.get("/mine").await.status, 200);
    before.get("/mine").await.is_refused(401, "invalid_token");
    phone.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_changed_password_revokes_the_api_keys_if_it_is_asked_to() {
    let world = World::new();
    let mut program =
        world.browser().header("authorization", format!("Bearer {}", world.key("ada")));
    let mut browser = world.browser().signed_in("ada").await;
    let body = json!({"current_password": PASSWORD, "new_password": "nine brass bells"});
    assert_eq!(browser.post("/auth/change-password", Some(body)).await.status, 200);
    assert_eq!(program.get("/mine").await.status, 200);
    let body = json!({
        "current_password": "nine brass bells", "new_password": PASSWORD, "revoke_api_keys": true,
    });
    assert_eq!(browser.post("/auth/change-password", Some(body)).await.status, 200);
    program.get("/mine").await.is_refused(401, "invalid_token");
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn an_api_key_changes_no_password() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.key("ada"));
    let mut program = world.browser().header("authorization", bearer);
    let body = json!({"current_password": PASSWORD, "new_password": "nine brass bells"});
    let answer = program.post("/auth/change-password", Some(body)).await;
    answer.is_refused(401, "invalid_token");
    assert_eq!(world.browser().log_in("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_route_that_is_left_out_is_not_there() {
    let auth = Auth::new(World::new().store);
    let some = Router::new().nest("/auth", routes::me()).with_state(auth);
    for (method, path, status) in
        [(Method::GET, "/auth/me", 401), (Method::POST, "/auth/login", 404)]
    {
        let request = axum::http::Request::builder().method(method).uri(path);
        let answer = exchange(&some, request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{path}");
    }
}
