//! Pages: the way to the login page and back.

use axum::Router;
use axum::routing::get;
use gatepost_axum::{Auth, Next, SignedIn, login_guard};
use serde::Deserialize;

use crate::world::{World, exchange};

#[tokio::test]
async fn a_page_sends_a_caller_that_is_not_signed_in_to_the_login_page() {
    let world = World::new();
    let mut browser = world.browser();
    let answer = browser.get("/pages/report?year=2026&month=1").await;
    assert_eq!(answer.status, 303);
    let next = "/login?next=%2Fpages%2Freport%3Fyear%3D2026%26month%3D1";
    assert_eq!(answer.headers["location"], next);
    // The address of a form that was sent is not one to go back to.
    assert_eq!(browser.post("/pages/report", None).await.headers["location"], "/login");
}

/// Once the address followed a second `?`, or was a part of the fragment, where no server reads it.
#[tokio::test]
async fn the_address_is_one_more_parameter_of_the_login_page() {
    let world = World::new();
    for (page, location) in [
        ("/login?lang=de", "/login?lang=de&next=%2Freport"),
        ("/login#form", "/login?next=%2Freport#form"),
        ("/login?lang=de#form?", "/login?lang=de&next=%2Freport#form?"),
    ] {
        let pages = Router::new().route("/report", get(async |_: SignedIn| {}));
        let app = login_guard(pages, page).with_state(Auth::new(world.store.clone()));
        let request = axum::http::Request::get("/report");
        let answer = exchange(&app, request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.headers["location"], location);
    }
}

#[tokio::test]
async fn a_page_clears_the_cookie_of_a_session_that_has_ended() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    assert_eq!(browser.get("/pages/report").await.status, 200);
    world.store.sessions().revoke_all(world.user("ada").id).unwrap();
    let answer = browser.get("/pages/report").await;
    assert_eq!(answer.status, 303);
    assert!(answer.clears_the_cookie());
}

#[tokio::test]
async fn other_answers_of_a_page_stay_as_they_are() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    let mut forged = browser.header("sec-fetch-site", "cross-site");
    forged.post("/pages/report", None).await.is_refused(403, "cross_site_request");
    world.store.close().unwrap();
    forged.get("/pages/report").await.is_refused(503, "unavailable");
}

#[tokio::test]
async fn a_page_that_asks_for_a_proof_sends_the_caller_to_the_page_of_proofs() {
    let world = World::new();
    let mut browser = world.browser();
    let location = "/login?next=%2Fpages%2Fexport%3Fall%3D1";
    assert_eq!(browser.get("/pages/export?all=1").await.headers["location"], location);
    let mut browser = world.browser().signed_in("ada").await;
    assert_eq!(browser.get("/pages/export?all=1").await.status, 200);
    world.clock.advance(std::time::Duration::from_secs(900));
    let answer = browser.get("/pages/export?all=1").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.headers["location"], "/prove?next=%2Fpages%2Fexport%3Fall%3D1");
    assert!(answer.set_cookies().is_empty(), "the session goes on");
}

#[tokio::test]
async fn a_browser_keeps_no_page_unless_the_page_says_so() {
    let world = World::new();
    let mut browser = world.browser();
    assert_eq!(browser.get("/pages/report").await.headers["cache-control"], "no-store");
    let mut browser = browser.signed_in("ada").await;
    assert_eq!(browser.get("/pages/report").await.headers["cache-control"], "no-store");
    let kept = browser.get("/pages/kept").await;
    assert_eq!(kept.headers["cache-control"], "private, max-age=60");
}

#[test]
fn only_a_path_of_this_site_is_followed() {
    for path in ["/", "/report", "/report?year=2026&to=https://other.example/", "/a//b", "/@b"] {
        assert_eq!(Next::new(path).as_str(), path);
    }
    for elsewhere in [
        "",
        "report",
        "//other.example",
        "///other.example",
        "/\\other.example",
        "\\\\other.example",
        "/\t/other.example",
        "/\n/other.example",
        "\t//other.example",
        " //other.example",
        "https://other.example/",
        "https:other.example",
        "javascript:alert(1)",
        "/a\r\nset-cookie: a=b",
        "/a\u{0}",
        "/\u{2028}",
        "/é",
    ] {
        assert_eq!(Next::new(elsewhere).as_str(), "/", "{elsewhere:?}");
    }
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    next: Next,
}

#[tokio::test]
async fn next_is_read_from_a_query() {
    let show = |next: Next| async move { next.as_str().to_owned() };
    let app = Router::new().route("/", get(show));
    for (query, path) in [
        ("", "/"),
        ("?next=%2Freport%3Fyear%3D2026", "/report?year=2026"),
        ("?a=b&next=/x", "/x"),
        ("?next=%2F%2Fother.example", "/"),
        ("?next=%2F%5Cother.example", "/"),
        ("?next=https%3A%2F%2Fother.example", "/"),
        ("?next=%FF", "/"),
    ] {
        let request = axum::http::Request::get(format!("/{query}"));
        let answer = exchange(&app, request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.body, path, "{query}");
    }
}

#[test]
fn next_is_read_from_a_form() {
    for (form, path) in [
        (r#"{"next": "/report"}"#, "/report"),
        (r#"{"next": "//other.example"}"#, "/"),
        ("{}", "/"),
    ] {
        let fields: Fields = serde_json::from_str(form).unwrap();
        assert_eq!(fields.next.as_str(), path);
    }
}
