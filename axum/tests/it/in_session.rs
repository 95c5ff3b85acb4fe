//! What a caller changes about itself in its session: proofs, and the second factor.

use std::time::Duration;

use gatepost::host::Clock;
use gatepost::policy::SecondFactorPolicy;
use serde_json::json;

use crate::second_factor::{SECRET, STEP, code_of, with_factor, world};
use crate::world::{Browser, PASSWORD, World};

const QUARTER: Duration = Duration::from_secs(15 * 60);
const SECOND: Duration = Duration::from_secs(1);

/// Signed in by the password and a code.
async fn strong(world: &World) -> Browser {
    let mut browser = world.browser();
    let code = code_of(SECRET, world.clock.now());
    let body = json!({ "username": "ada", "password": PASSWORD, "code": code });
    assert_eq!(browser.post("/auth/login", Some(body)).await.status, 200);
    browser
}

#[tokio::test]
async fn a_session_is_fresh_for_a_quarter_of_an_hour_and_again_after_a_proof() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    world.clock.advance(QUARTER - SECOND);
    assert_eq!(browser.get("/fresh").await.status, 200);
    world.clock.advance(SECOND);
    browser.get("/fresh").await.is_refused(403, "step_up_required");
    assert_eq!(browser.get("/mine").await.status, 200, "it is still signed in");

    let wrong = json!({ "password": "a wrong guess" });
    browser.post("/auth/prove", Some(wrong)).await.is_refused(403, "wrong_password_or_code");
    let old = browser.clone();
    let answer = browser.post("/auth/prove", Some(json!({ "password": PASSWORD }))).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies().len()), (200, 1));
    assert_eq!(browser.get("/fresh").await.status, 200);
    old.clone().get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_proof_is_either_a_password_or_a_code() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    for body in [json!({}), json!({ "password": PASSWORD, "code": "123456" })] {
        browser.post("/auth/prove", Some(body)).await.is_refused(422, "invalid");
    }
    // A user without a factor proves by the password, and a session that has proved one by a code.
    let code = json!({ "code": "123456" });
    browser.post("/auth/prove", Some(code)).await.is_refused(403, "mfa_enrolment_required");
    let world = with_factor();
    let mut browser = strong(&world).await;
    let password = json!({ "password": PASSWORD });
    browser.post("/auth/prove", Some(password)).await.is_refused(403, "mfa_code_required");
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn a_level_is_asked_for_as_well_as_an_age() {
    let world = with_factor();
    let mut browser = strong(&world).await;
    assert_eq!(browser.get("/strong").await.status, 200);
    world.clock.advance(Duration::from_secs(60));
    browser.get("/strong").await.is_refused(403, "step_up_required");
    let code = json!({ "code": code_of(SECRET, world.clock.now()) });
    assert_eq!(browser.post("/auth/prove", Some(code)).await.status, 200);
    assert_eq!(browser.get("/strong").await.status, 200);

    let mut weak = World::new().browser().signed_in("ada").await;
    weak.get("/strong").await.is_refused(403, "step_up_required");
}

#[tokio::test]
async fn a_program_is_never_fresh_and_a_caller_without_a_session_signs_in() {
    let world = World::new();
    world.browser().get("/fresh").await.is_refused(401, "sign_in");
    let header = format!("Bearer {}", world.key("ada"));
    let mut program = world.browser().header("authorization", header);
    program.get("/fresh").await.is_refused(403, "step_up_required");
    program.get("/mine").await;
    let mut browser = world.browser().signed_in("ada").await;
    world.store.sessions().revoke_all(world.user("ada").id).unwrap();
    let answer = browser.get("/fresh").await;
    answer.is_refused(401, "invalid_token");
    assert!(answer.clears_the_cookie());
}

#[tokio::test]
async fn the_current_device_is_known_by_its_handle() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let handle = browser.get("/fresh").await.body;
    let devices = world.store.devices().list(world.user("ada").id).unwrap();
    assert_eq!(devices.iter().map(|device| device.handle.clone()).collect::<Vec<_>>(), [handle]);
}

#[tokio::test]
async fn a_factor_is_enrolled_replaced_and_removed_in_a_session() {
    let world = world(SecondFactorPolicy::Optional);
    let mut browser = world.browser().signed_in("ada").await;
    let mut other = world.browser().signed_in("ada").await;
    let none = browser.get("/auth/second-factor").await.json();
    assert_eq!(none, json!({ "second_factor": null }));
    let first = enrolled(&world, &mut browser, "/auth/second-factor/enrol", None).await;
    other.get("/mine").await.is_refused(401, "invalid_token");
    let found = browser.get("/auth/second-factor").await.json();
    assert_eq!(found["second_factor"]["recovery_codes_left"], 10);
    browser.post("/auth/second-factor/enrol", None).await.is_refused(422, "invalid");

    world.clock.advance(STEP);
    let wrong = json!({ "password": PASSWORD, "code": "000000" });
    for path in ["replace", "remove", "recovery-codes"] {
        let path = format!("/auth/second-factor/{path}");
        let refused = browser.post(&path, Some(wrong.clone())).await;
        refused.is_refused(403, "wrong_password_or_code");
    }
    let both = |secret: &[u8]| {
        let code = code_of(secret, world.clock.now());
        json!({ "password": PASSWORD, "code": code })
    };
    let body = Some(both(&first));
    let second = enrolled(&world, &mut browser, "/auth/second-factor/replace", body).await;
    assert_ne!(first, second);
    world.clock.advance(STEP);
    let issued = browser.post("/auth/second-factor/recovery-codes", Some(both(&second))).await;
    assert_eq!(issued.json()["recovery_codes"].as_array().unwrap().len(), 10, "{}", issued.body);
    world.clock.advance(STEP);
    let removed = browser.post("/auth/second-factor/remove", Some(both(&second))).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    assert_eq!(browser.get("/auth/second-factor").await.json(), none);
}

/// Begins an enrolment at that path and confirms it; returns the secret.
#[tokio::test]
async fn an_enrolment_asks_for_a_proof_of_the_last_quarter_of_an_hour() {
    let world = world(SecondFactorPolicy::Optional);
    let mut browser = world.browser().signed_in("ada").await;
    world.clock.advance(QUARTER);
    let refused = browser.post("/auth/second-factor/enrol", None).await;
    refused.is_refused(403, "step_up_required");
    assert_eq!(browser.get("/mine").await.status, 200, "it is still signed in");
    let proof = json!({ "password": PASSWORD });
    assert_eq!(browser.post("/auth/prove", Some(proof)).await.status, 200);
    enrolled(&world, &mut browser, "/auth/second-factor/enrol", None).await;
}

async fn enrolled(
    world: &World,
    browser: &mut Browser,
    path: &str,
    body: Option<serde_json::Value>,
) -> Vec<u8> {
    let begun = browser.post(path, body).await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    assert_eq!(begun.headers["cache-control"], "no-store");
    let base32 = begun.json()["base32"].as_str().unwrap().to_owned();
    let secret = data_encoding::BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
    let codes = |at| json!({ "codes": [code_of(&secret, at), code_of(&secret, at + STEP)] });
    let now = world.clock.now();
    let wrong = json!({ "codes": ["000000", "000001"] });
    let refused = browser.post("/auth/second-factor/confirm", Some(wrong)).await;
    refused.is_refused(403, "wrong_password_or_code");
    let confirmed = browser.post("/auth/second-factor/confirm", Some(codes(now - STEP))).await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.body);
    assert_eq!(confirmed.json()["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(browser.get("/mine").await.status, 200, "this session goes on");
    secret
}

#[tokio::test]
async fn another_site_neither_proves_nor_enrols() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    let mut forged = browser.header("sec-fetch-site", "cross-site");
    for path in ["prove", "second-factor/enrol", "second-factor/confirm", "second-factor/remove"] {
        let body = json!({ "password": PASSWORD, "code": "1", "codes": ["1", "2"] });
        let answer = forged.post(&format!("/auth/{path}"), Some(body)).await;
        answer.is_refused(403, "cross_site_request");
    }
}
