//! The address of a client, directly and behind proxies.

use axum::body::Body;
use axum::http::Request;
use gatepost_axum::IpNet;

use crate::world::{World, exchange, from_peer};

const TRUSTED: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];

/// The address that is found for a request of that peer with those lines of `X-Forwarded-For`.
async fn found(world: &World, peer: &str, forwarded: &[&[u8]]) -> String {
    let mut request = Request::get("/client").header("user-agent", "Test/1");
    for line in forwarded {
        request = request.header("x-forwarded-for", *line);
    }
    let request = from_peer(request.body(Body::empty()).unwrap(), peer);
    let answer = exchange(&world.app, request).await;
    answer.body.strip_suffix(" Test/1").unwrap().to_owned()
}

#[tokio::test]
async fn the_header_of_an_untrusted_peer_is_ignored() {
    let trusting = World::with(|auth| auth.trusted_proxies(TRUSTED.map(network)));
    for world in [World::new(), trusting] {
        let address = found(&world, "192.0.2.7:50000", &[b"203.0.113.9"]).await;
        assert_eq!(address, "192.0.2.7");
    }
    let address = found(&World::new(), "10.0.0.1:50000", &[b"203.0.113.9"]).await;
    assert_eq!(address, "10.0.0.1", "no proxy is trusted by default");
}

#[tokio::test]
async fn the_header_is_read_from_right_to_left_up_to_the_first_untrusted_address() {
    let world = World::with(|auth| auth.trusted_proxies(TRUSTED.map(network)));
    let peer = "10.0.0.1:50000";
    for (forwarded, address) in [
        (&[b"203.0.113.9".as_slice()][..], "203.0.113.9"),
        (&[b"198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (&[b"198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (&[b"198.51.100.1", b"203.0.113.9,10.0.0.2", b"10.0.0.3"], "203.0.113.9"),
        (&[b"203.0.113.9:4711"], "203.0.113.9"),
        (&[b"2001:db8::9, fd00::1"], "2001:db8::9"),
        (&[b"[2001:db8::9]:4711"], "2001:db8::9"),
        (&[b"[2001:db8::9]"], "2001:db8::9"),
        (&[b"::ffff:203.0.113.9"], "203.0.113.9"),
        (&[b"10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        (&[b"203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        (&[b"203.0.113.9, "], "10.0.0.1"),
        (&[b"203.0.113.9", b"\xff"], "10.0.0.1"),
        (&[b"unknown"], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ] {
        let found = found(&world, peer, forwarded).await;
        assert_eq!(found, address, "{forwarded:?}");
    }
    let mapped = found(&world, "[::ffff:10.0.0.1]:50000", &[b"203.0.113.9"]).await;
    assert_eq!(mapped, "203.0.113.9");
}

#[tokio::test]
async fn without_the_peer_the_address_is_unknown() {
    let world = World::with(|auth| auth.trusted_proxies(TRUSTED.map(network)));
    let mut browser = world.browser().header("x-forwarded-for", "203.0.113.9");
    assert_eq!(browser.get("/client").await.body, " ");
}

#[tokio::test]
async fn a_session_shows_the_address_and_the_user_agent_of_its_login() {
    let world = World::new();
    let body = format!(r#"{{"username": "ada", "password": "{}"}}"#, crate::world::PASSWORD);
    let request = Request::post("/auth/login")
        .header("content-type", "application/json")
        .header("user-agent", "Test/1")
        .body(Body::from(body))
        .unwrap();
    let answer = exchange(&world.app, from_peer(request, "192.0.2.7:50000")).await;
    assert_eq!(answer.status, 200);
    let ada = gatepost::sessions::SessionFilter::new().under(world.user("ada").id);
    let session = world.store.sessions().iter(&ada).next().unwrap().unwrap();
    let info = session.client_info.unwrap();
    assert_eq!(info.address().unwrap().to_string(), "192.0.2.7");
    assert_eq!(info.agent(), Some("Test/1"));
}

fn network(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_login_without_cookies_knows_its_peer_whatever_the_site() {
    let world = World::new();
    let mut page = world.browser().header("user-agent", "Test/1");
    page.headers.push(("sec-fetch-site", "cross-site".into()));
    let answer = page.post("/peer", None).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "Test/1"));
    page.post("/client", None).await.is_refused(403, "cross_site_request");
}
