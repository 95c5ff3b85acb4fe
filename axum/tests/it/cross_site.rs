//! Requests that another site makes with a browser's cookies (CSRF).

use axum::http::Method;

use crate::world::{Browser, World};

const APP: &str = "https://app.site.example";
const OTHER: &str = "https://other.example";

/// A POST with these two headers: `None` leaves one out.
async fn post(browser: &Browser, fetch_site: Option<&str>, origin: Option<&str>) -> u16 {
    let mut browser = browser.clone();
    browser.headers.extend(fetch_site.map(|value| ("sec-fetch-site", value.to_owned())));
    browser.headers.extend(origin.map(|value| ("origin", value.to_owned())));
    let answer = browser.post("/mine", None).await;
    if answer.status == 403 {
        assert_eq!(answer.code(), "cross_site_request");
        assert!(answer.set_cookies().is_empty());
    }
    answer.status.as_u16()
}

#[tokio::test]
async fn an_unsafe_request_of_another_site_is_refused() {
    let world = World::with(|auth| auth.allow_origin(APP).unwrap());
    let browser = world.browser().signed_in("ada").await;
    for (fetch_site, origin, status) in [
        (Some("same-origin"), Some("https://site.example"), 200),
        (Some("none"), None, 200),
        (Some("cross-site"), Some(OTHER), 403),
        (Some("cross-site"), Some("null"), 403),
        (Some("cross-site"), None, 403),
        (Some("same-site"), Some("https://blog.site.example"), 403),
        (Some("same-site"), None, 403),
        (Some("same-site"), Some(APP), 200),
        (Some("same-site"), Some("HTTPS://APP.site.example"), 200),
        (Some("something new"), Some(OTHER), 403),
        (None, Some("https://site.example"), 200),
        (None, Some("https://SITE.example"), 200),
        (None, Some("http://site.example"), 403),
        (None, Some("https://site.example:8443"), 403),
        (None, Some("https://site.example.other.example"), 403),
        (None, Some(APP), 200),
        (None, Some(OTHER), 403),
        (None, Some("null"), 403),
        (None, Some(""), 403),
        (None, None, 200),
    ] {
        let found = post(&browser, fetch_site, origin).await;
        assert_eq!(found, status, "{fetch_site:?} {origin:?}");
    }
}

/// Once such an origin was accepted and matched no request, because no browser sends it.
#[tokio::test]
async fn an_allowed_origin_with_the_default_port_is_that_without_it() {
    for (allowed, sent, status) in [
        ("https://app.site.example:443", APP, 200),
        ("HTTPS://APP.site.example:443", APP, 200),
        ("http://[::1]:80", "http://[::1]", 200),
        ("https://app.site.example:80", APP, 403),
        ("https://app.site.example:8443", APP, 403),
        ("http://app.site.example:443", "http://app.site.example", 403),
    ] {
        let world = World::with(|auth| auth.allow_origin(allowed).unwrap());
        let browser = world.browser().signed_in("ada").await;
        assert_eq!(post(&browser, Some("same-site"), Some(sent)).await, status, "{allowed}");
    }
}

#[tokio::test]
async fn with_plain_http_the_origin_of_the_site_may_be_plain() {
    let world = World::with(|auth| auth.dangerous().allow_plain_http());
    let browser = world.browser().signed_in("ada").await;
    assert_eq!(post(&browser, None, Some("http://site.example")).await, 200);
    assert_eq!(post(&browser, None, Some("http://other.example")).await, 403);
}

#[tokio::test]
async fn each_extractor_and_each_ready_route_checks() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    let mut forged = browser.clone().header("sec-fetch-site", "cross-site");
    for path in [
        "/mine",
        "/anyone",
        "/client",
        "/key",
        "/auth/login",
        "/auth/logout",
        "/auth/sessions/revoke-others",
        "/auth/change-password",
    ] {
        forged.post(path, None).await.is_refused(403, "cross_site_request");
    }
    let session = "/auth/sessions/019b8d62-7a80-7a75-8a05-9c375ce2b8e3";
    forged.send(Method::DELETE, session, None).await.is_refused(403, "cross_site_request");
    assert_eq!(browser.clone().get("/mine").await.status, 200);
}

#[tokio::test]
async fn a_login_that_another_site_makes_is_refused_without_cookies_too() {
    let world = World::new();
    let mut forged = world.browser().header("sec-fetch-site", "cross-site");
    let answer = forged.log_in("bob", crate::world::PASSWORD).await;
    answer.is_refused(403, "cross_site_request");
    assert!(forged.cookies.is_empty());
}

#[tokio::test]
async fn safe_methods_are_not_checked_and_a_web_socket_is() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    let mut linked = browser.clone().header("sec-fetch-site", "cross-site");
    assert_eq!(linked.get("/mine").await.status, 200);
    assert_eq!(linked.send(Method::HEAD, "/mine", None).await.status, 200);
    let mut socket = linked.header("upgrade", "websocket");
    socket.get("/mine").await.is_refused(403, "cross_site_request");
}

#[tokio::test]
async fn credentials_in_the_header_are_exempt() {
    let world = World::new();
    let mut program = world.browser().header("sec-fetch-site", "cross-site");
    program.headers.push(("authorization", format!("Bearer {}", world.key("ada"))));
    assert_eq!(program.post("/mine", None).await.status, 200);
    assert_eq!(program.post("/key", None).await.status, 200);
}

#[test]
fn only_an_origin_can_be_allowed() {
    for (text, is_one) in [
        (APP, true),
        ("http://localhost:5173", true),
        ("HTTPS://App.example.com:8443", true),
        ("https://app_1.example.com.", true),
        ("https://[2001:db8::1]:8443", true),
        ("https://127.0.0.1:8443", true),
        ("https://1.example", true),
        ("https://1.example.", true),
        ("https://127.1.0xg", true),
        ("https://127.0.0.1a", true),
        ("https://[::]", true),
        ("https://[::ffff:7f00:1]", true),
        ("https://[::7f00:1]", true),
        ("https://[1:0:0:2::3]", true),
        ("https://[1::2:0:0:3:4]", true),
        ("https://[1:0:2:3:4:5:6:7]", true),
        // A browser reads these as addresses, and sends each in its usual form.
        ("https://127.1", false),
        ("https://0x7f.1", false),
        ("https://0X7F.1", false),
        ("https://2130706433", false),
        ("https://127.0.0.01", false),
        ("https://127.0.0.1.", false),
        ("https://127.0.0.256", false),
        ("https://1.2.3.4.5", false),
        ("https://app.example.80", false),
        ("https://app.0x", false),
        ("https://app.0x1f", false),
        ("https://app.0x1f.", false),
        ("https://[::ffff:127.0.0.1]", false),
        ("https://[::127.0.0.1]", false),
        ("https://[1::2:3:4:5:6:7]", false),
        ("https://[1:0:0:2:0:0:0:3]", false),
        ("https://[1::2:0:0:0:3]", false),
        ("https://[2001:DB8::0001]", false),
        ("https://*.example.com", false),
        ("https://.example.com", false),
        ("https://app..example.com", false),
        ("https://app.example.com:", false),
        ("https://app.example.com:*", false),
        ("https://app.example.com:+443", false),
        ("https://app.example.com:0443", false),
        ("https://app.example.com:65536", false),
        ("https://app.example.com:443:443", false),
        ("https://bücher.example", false),
        ("https://b%C3%BCcher.example", false),
        ("https://app.example.com,https://other.example", false),
        ("https://app.example.com ", false),
        ("https://[2001:db8:0:0:0:0:0:1]", false),
        ("https://[2001:db8::1", false),
        ("https://2001:db8::1", false),
        ("https://", false),
        ("https://:443", false),
        ("https://app.example.com?", false),
        ("https://app.example.com#", false),
        ("https://app.example.com/", false),
        ("https://app.example.com/path", false),
        ("https://ada@app.example.com", false),
        ("app.example.com", false),
        ("ftp://app.example.com", false),
        ("null", false),
        ("*", false),
        ("", false),
    ] {
        let auth = gatepost_axum::Auth::new(World::new().store);
        assert_eq!(auth.allow_origin(text).is_ok(), is_one, "{text}");
    }
}
