//! Logins that wait for a second factor: the step travels to the browser and back.

use std::sync::Arc;
use std::time::Duration;

use gatepost::host::{Clock, ManualClock};
use gatepost::policy::{SecondFactorPolicy, SessionPolicy};
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::{NewUser, Options, Store, Timestamp};
use gatepost_axum::Auth;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use crate::world::{Browser, PASSWORD, World, app};

pub(crate) const SECRET: &[u8] = b"12345678901234567890";
pub(crate) const STEP: Duration = Duration::from_secs(30);

pub(crate) fn world(policy: SecondFactorPolicy) -> World {
    let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
    let options = Options::for_tests().sessions(SessionPolicy::web()).second_factor(policy);
    let options = options.clock(Arc::new(clock.clone()));
    let options = options.dangerous().allow_unsealed_totp_secrets();
    let store = Store::in_memory(options).unwrap();
    store.users().create(NewUser::person("ada").password(PASSWORD.into())).unwrap();
    let app = app(Auth::new(store.clone()));
    World { store, clock, app }
}

/// Where ada has a factor.
pub(crate) fn with_factor() -> World {
    let world = world(SecondFactorPolicy::Optional);
    let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
    let ada = world.user("ada").id;
    world.store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    world.clock.advance(STEP);
    world
}

pub(crate) fn code_of(secret: &[u8], at: Timestamp) -> String {
    let mac = Hmac::<sha1::Sha1>::new_from_slice(secret).unwrap();
    let mac = mac.chain_update((at.as_millis() / 30_000).to_be_bytes()).finalize().into_bytes();
    let at = usize::from(mac[19] & 15);
    let four: [u8; 4] = mac[at..at + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

#[tokio::test]
async fn a_session_for_which_the_provider_answers_waits_for_the_code_of_the_user() {
    let world = with_factor();
    let mut browser = world.browser();
    let answer = browser.get(&format!("/provider/{}", world.user("ada").id)).await;
    assert_eq!(answer.status, 200);
    let step = answer.body.strip_prefix("a code, please: ").unwrap();
    assert_eq!(browser.cookies.len(), 1, "the device alone");
    browser.get("/mine").await.is_refused(401, "sign_in");
    let complete = json!({ "step": step, "code": code_of(SECRET, world.clock.now()) });
    let answer = browser.post("/auth/login/complete", Some(complete)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn a_login_waits_and_the_code_completes_it_on_the_same_browser() {
    let world = with_factor();
    let mut browser = world.browser();
    let answer = browser.log_in("ada", PASSWORD).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(browser.cookies.len(), 1, "the device alone");
    let pending = &answer.json()["pending"];
    assert_eq!(
        (&pending["demand"], &pending["new_password_required"]),
        (&json!("code"), &json!(false))
    );
    let step = pending["step"].as_str().unwrap().to_owned();
    browser.get("/mine").await.is_refused(401, "sign_in");

    let code = code_of(SECRET, world.clock.now());
    let complete = json!({ "step": step, "code": code, "trust_device_days": 30 });
    let elsewhere = world.browser().post("/auth/login/complete", Some(complete.clone())).await;
    elsewhere.is_refused(401, "step_not_live");
    let wrong = json!({ "step": step, "code": "x" });
    let wrong = browser.post("/auth/login/complete", Some(wrong)).await;
    wrong.is_refused(401, "invalid_credentials");
    let answer = browser.post("/auth/login/complete", Some(complete)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["principal"]["assurance"], "aal2");
    assert!(!answer.body.contains("recovery_codes"));
    assert_eq!(browser.get("/mine").await.status, 200);

    // The device is trusted from now on.
    browser.post("/auth/logout", None).await;
    assert_eq!(browser.log_in("ada", PASSWORD).await.status, 200);
    assert_eq!(world.browser().log_in("ada", PASSWORD).await.status, 202);
}

#[tokio::test]
async fn the_step_is_no_credential() {
    let world = with_factor();
    let mut browser = world.browser();
    let step = browser.log_in("ada", PASSWORD).await.json()["pending"]["step"].clone();
    let bearer = format!("Bearer {}", step.as_str().unwrap());
    let mut browser = browser.header("authorization", bearer);
    browser.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_code_in_the_login_opens_the_session_at_once() {
    let world = with_factor();
    let mut browser = world.browser();
    let code = code_of(SECRET, world.clock.now());
    let body = json!({ "username": "ada", "password": PASSWORD, "code": code });
    assert_eq!(browser.post("/auth/login", Some(body)).await.status, 200);
}

/// Once an empty code was sent, and each such body took one of the five guesses of the step.
#[tokio::test]
async fn a_completion_has_one_code_of_one_kind() {
    let world = with_factor();
    let mut browser = world.browser();
    let step = browser.log_in("ada", PASSWORD).await.json()["pending"]["step"].clone();
    let code = code_of(SECRET, world.clock.now());
    let (both, recovery) = (json!([code, code]), "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aa");
    for body in [
        json!({}),
        json!({ "code": null }),
        json!({ "code": code, "recovery_code": recovery }),
        json!({ "code": code, "enrolment_codes": both }),
        json!({ "recovery_code": recovery, "enrolment_codes": both }),
        json!({ "code": code, "recovery_code": recovery, "enrolment_codes": both }),
    ] {
        let mut body = body;
        body["step"] = step.clone();
        let shown = body.to_string();
        let answer = browser.post("/auth/login/complete", Some(body)).await;
        assert_eq!(answer.status, 422, "{shown}");
        answer.is_refused(422, "invalid");
    }
    let complete = json!({ "step": step, "code": code });
    assert_eq!(browser.post("/auth/login/complete", Some(complete)).await.status, 200);
}

/// Once the recovery code was used up, and the code ignored.
#[tokio::test]
async fn a_login_with_two_codes_uses_up_neither() {
    let world = world(SecondFactorPolicy::All);
    let (secret, recovery_codes) = enrolled_at_login(&world, &mut world.browser()).await;
    world.clock.advance(STEP);
    let code = code_of(&secret, world.clock.now());
    let login = |more: Value| {
        let mut body = json!({ "username": "ada", "password": PASSWORD });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };
    let both = login(json!({ "code": code, "recovery_code": recovery_codes[0] }));
    world.browser().post("/auth/login", both).await.is_refused(422, "invalid");
    for one in [json!({ "code": code }), json!({ "recovery_code": recovery_codes[0] })] {
        let answer = world.browser().post("/auth/login", login(one)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_user_who_must_have_a_factor_enrols_one_in_the_browser() {
    let world = world(SecondFactorPolicy::All);
    let mut browser = world.browser();
    let (_, recovery_codes) = enrolled_at_login(&world, &mut browser).await;
    assert_eq!(recovery_codes.as_array().unwrap().len(), 10);
    assert_eq!(browser.get("/mine").await.status, 200);
}

/// Enrols a factor in a login; returns its secret and the recovery codes.
async fn enrolled_at_login(world: &World, browser: &mut Browser) -> (Vec<u8>, Value) {
    let answer = browser.log_in("ada", PASSWORD).await;
    assert_eq!(answer.json()["pending"]["demand"], "enrolment");
    let step = answer.json()["pending"]["step"].clone();
    let begun = browser.post("/auth/login/enrol", Some(json!({ "step": step }))).await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    let begun = begun.json();
    assert!(begun["uri"].as_str().unwrap().starts_with("otpauth://totp/"));
    let base32 = begun["base32"].as_str().unwrap();
    let secret = data_encoding::BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
    let now = world.clock.now();
    let codes = [code_of(&secret, now - STEP), code_of(&secret, now)];
    let body = json!({ "step": step, "enrolment_codes": codes });
    let answer = browser.post("/auth/login/complete", Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (secret, answer.json()["recovery_codes"].clone())
}
