//! Input that no client sends: each is answered by a typed refusal, and none is a panic.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use proptest::prelude::*;

use crate::world::{Answer, World, exchange};

const PATHS: [&str; 5] =
    ["/auth/login", "/auth/logout", "/auth/change-password", "/mine", "/client"];

#[track_caller]
fn is_a_refusal(answer: &Answer) {
    let status = answer.status.as_u16();
    assert!([200, 204, 401, 403, 413, 415, 422, 400].contains(&status), "{answer:?}");
    if status >= 400 {
        answer.code();
    }
}

async fn post(world: &World, path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Answer {
    let mut request = Request::builder().method(Method::POST).uri(path);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    exchange(&world.app, request.body(Body::from(body.to_vec())).unwrap()).await
}

#[tokio::test]
async fn a_body_that_is_not_the_expected_json_is_refused_and_not_repeated() {
    let world = World::new();
    let json: &[u8] = b"application/json";
    let large = format!(r#"{{"username": "a", "password": "{}"}}"#, "x".repeat(70_000));
    for (kind, body, status) in [
        (json, b"".as_slice(), 400),
        (json, b"{", 400),
        (json, b"[]", 422),
        (json, b"null", 422),
        (json, br#"{"username": "ada"}"#, 422),
        (json, br#"{"username": 7, "password": "hunter2"}"#, 422),
        (json, br#"{"username": "ada", "password": 4711}"#, 422),
        (json, br#"{"username": "ada", "password": ["hunter2"]}"#, 422),
        (json, br#"{"username": "ada", "password": "hunter2", "password": "b"}"#, 422),
        (json, b"{\"username\": \"\xff\", \"password\": \"hunter2\"}", 400),
        (json, large.as_bytes(), 413),
        (b"text/plain", br#"{"username": "ada", "password": "hunter2"}"#, 415),
        (b"\xff", br#"{"username": "ada", "password": "hunter2"}"#, 415),
    ] {
        let answer = post(&world, "/auth/login", &[("content-type", kind)], body).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.status, status, "{shown:.100} {}", answer.body);
        answer.code();
        assert!(!answer.body.contains("hunter2") && !answer.body.contains("4711"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_in_headers_and_body_are_answered(
        path in 0..PATHS.len(),
        authorization in proptest::option::of(header()),
        cookie in proptest::option::of(header()),
        origin in proptest::option::of(header()),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut headers: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
            let cookie = cookie.map(|value| [b"__Host-session=".as_slice(), &value].concat());
            headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
            headers.extend(cookie.as_deref().map(|value| ("cookie", value)));
            headers.extend(origin.as_deref().map(|value| ("origin", value)));
            is_a_refusal(&post(&world, PATHS[path], &headers, &body).await);
        });
    }

    #[test]
    fn next_is_always_a_path_of_this_site(text in "\\PC*|[/\\\\:a@\t\n]*") {
        let next = gatepost_axum::Next::new(&text);
        prop_assert!(next.as_str().starts_with('/'));
        let second = next.as_str().chars().nth(1);
        prop_assert!(!matches!(second, Some('/' | '\\' | '\t' | '\n')), "{}", next.as_str());
        prop_assert!(HeaderValue::from_str(next.as_str()).is_ok());
    }
}

/// Any bytes that a header may have, some of them near to a real one.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let any_bytes = proptest::collection::vec(prop_oneof![32_u8..127, 128_u8..=255], 0..60);
    let near = "(Bearer|Basic|basic|gps_|[ =;:,/+\"A-Za-z0-9])*";
    prop_oneof![any_bytes, near.prop_map(String::into_bytes)]
}
