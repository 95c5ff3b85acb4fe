//! Logging in and out: the two cookies, and users in turn in one browser.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use data_encoding::BASE64;
use gatepost::Page;
use gatepost::directory::UserStatus;
use gatepost::host::Clock;
use gatepost::sessions::SessionFilter;
use serde_json::json;

use crate::world::{PASSWORD, World, abandoned, exchange, on_one_thread};

const SESSION: &str = "__Host-session";
const DEVICE: &str = "__Host-device";

#[tokio::test]
async fn a_login_sets_the_cookie_of_the_session_until_its_end_and_that_of_the_device() {
    let mut browser = World::new().browser();
    let answer = browser.log_in("ada", PASSWORD).await;
    assert_eq!(answer.status, 200);
    let attributes = "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=";
    let token = format!("{SESSION}={}; {attributes}2592000", browser.cookies[SESSION]);
    let device = format!("{DEVICE}={}; {attributes}34560000", browser.cookies[DEVICE]);
    assert_eq!(answer.set_cookies(), [token, device]);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.json()["profile"]["user"]["username"], "ada");
    assert!(!answer.body.contains(&browser.cookies[SESSION]));
}

#[tokio::test]
async fn a_session_for_which_the_provider_answers_has_the_device_of_the_browser() {
    let world = World::new();
    let (ada, bob) = (world.user("ada").id, world.user("bob").id);
    let mut browser = world.browser();
    let answer = browser.get(&format!("/provider/{ada}")).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "signed in"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    let device = browser.cookies[DEVICE].clone();
    assert_eq!(browser.get("/mine").await.body, ada.to_string());
    let kept =
        world.store.sessions().list(&SessionFilter::new().under(ada), Page::first(1)).unwrap();
    assert_eq!(kept[0].label.as_deref(), Some("by the provider"));
    browser.get(&format!("/provider/{bob}")).await;
    assert_eq!(browser.get("/mine").await.body, bob.to_string());
    assert_eq!(browser.cookies[DEVICE], device);
    world.store.users().set_status(ada, UserStatus::Disabled).unwrap();
    let answer = browser.get(&format!("/provider/{ada}")).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies()), (403, vec![]));
    assert_eq!(browser.get("/mine").await.body, bob.to_string());
}

#[tokio::test]
async fn a_renewal_moves_the_end_of_the_cookie_with_that_of_the_session() {
    let world = World::new();
    let mut browser = world.browser();
    browser.get(&format!("/provider/{}", world.user("ada").id)).await;
    let token = browser.cookies[SESSION].clone();
    // The end would hardly move.
    world.clock.advance(Duration::from_secs(60));
    let answer = browser.post("/stay", None).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies()), (200, vec![]));
    world.clock.advance(Duration::from_secs(20 * 3_600));
    let answer = browser.post("/stay", None).await;
    let attributes = "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=";
    assert_eq!(answer.set_cookies(), [format!("{SESSION}={token}; {attributes}86400")]);
    assert_eq!(answer.body, (world.clock.now() + Duration::from_secs(86_400)).to_string());
    // A program that sent a header keeps no cookie.
    world.clock.advance(Duration::from_secs(20 * 3_600));
    let device = browser.cookies[DEVICE].clone();
    let basic = BASE64.encode(format!("{token}:{device}").as_bytes());
    let mut program = world.browser().header("authorization", format!("Basic {basic}"));
    let answer = program.post("/stay", None).await;
    assert_eq!((answer.status.as_u16(), answer.set_cookies()), (200, vec![]), "{}", answer.body);
    let bearer = format!("Bearer {}", world.key("ada"));
    let mut key = world.browser().header("authorization", bearer);
    key.post("/stay", None).await.is_refused(422, "invalid");
}

#[tokio::test]
async fn a_cookie_without_an_age_is_forgotten_with_the_browser_and_that_of_the_device_is_not() {
    let mut browser = World::new().browser();
    let answer = browser.post("/shared", None).await;
    let attributes = "HttpOnly; SameSite=Lax; Secure; Path=/";
    let token = format!("{SESSION}={}; {attributes}", browser.cookies[SESSION]);
    let device = format!("{DEVICE}={}; {attributes}; Max-Age=34560000", browser.cookies[DEVICE]);
    assert_eq!(answer.set_cookies(), [token, device]);
    assert_eq!(browser.get("/mine").await.status, 200);
}

/// Once each of these gave it an age: the session of a shared computer survived the browser.
#[tokio::test]
async fn a_cookie_without_an_age_gets_none_by_a_renewal_a_proof_or_a_new_password() {
    let world = World::new();
    let mut browser = world.browser();
    browser.post("/shared", None).await;
    let change = json!({"current_password": PASSWORD, "new_password": "nine brass bells"});
    for (path, body) in [
        ("/stay", None),
        ("/auth/prove", Some(json!({ "password": PASSWORD }))),
        ("/stay", None),
        ("/auth/change-password", Some(change)),
    ] {
        world.clock.advance(Duration::from_secs(5 * 3_600));
        let answer = browser.post(path, body).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        let value = &browser.cookies[SESSION];
        let cookie = format!("{SESSION}={value}; HttpOnly; SameSite=Lax; Secure; Path=/");
        assert_eq!(answer.set_cookies(), [cookie], "{path}");
        assert_eq!(value.matches('.').count(), 1, "one mark: {value}");
        assert_eq!(browser.get("/mine").await.status, 200, "{path}");
    }
    let mut kept = browser.clone();
    assert!(browser.post("/auth/logout", None).await.clears_the_cookie());
    kept.get("/mine").await.is_refused(401, "invalid_token");
    // The next login decides again.
    let answer = browser.log_in("ada", "nine brass bells").await;
    assert!(answer.set_cookies()[0].ends_with("; Max-Age=2592000"), "{answer:?}");
}

#[tokio::test]
async fn plain_http_needs_its_dangerous_option() {
    let mut browser = World::with(|auth| auth.dangerous().allow_plain_http()).browser();
    let answer = browser.log_in("ada", PASSWORD).await;
    let attributes = "HttpOnly; SameSite=Lax; Path=/; Max-Age=";
    let token = format!("session={}; {attributes}2592000", browser.cookies["session"]);
    let device = format!("device={}; {attributes}34560000", browser.cookies["device"]);
    assert_eq!(answer.set_cookies(), [token, device]);
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn the_device_is_made_once_and_kept_over_logout() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    let device = browser.cookies[DEVICE].clone();
    let answer = browser.post("/auth/logout", None).await;
    assert_eq!(answer.status, 204);
    assert!(answer.clears_the_cookie());
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [DEVICE]);
    browser.log_in("ada", PASSWORD).await;
    assert_eq!(browser.cookies[DEVICE], device);
    assert_eq!(world.store.devices().list(world.user("ada").id).unwrap().len(), 1);
}

#[tokio::test]
async fn two_browsers_have_two_devices() {
    let world = World::new();
    let (one, mut other) =
        (world.browser().signed_in("ada").await, world.browser().signed_in("ada").await);
    assert_ne!(one.cookies[DEVICE], other.cookies[DEVICE]);
    // The token of one with the device of the other.
    other.cookies.insert(SESSION.into(), one.cookies[SESSION].clone());
    other.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn the_second_user_of_a_browser_ends_the_session_of_the_first() {
    let world = World::new();
    let mut browser = world.browser().signed_in("root").await;
    let mut first = browser.clone();
    assert_eq!(first.get("/mine").await.status, 200);
    let answer = browser.log_in("bob", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(browser.get("/mine").await.body, world.user("bob").id.to_string());
    first.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_logout_ends_the_session_and_may_be_repeated() {
    let mut browser = World::new().browser().signed_in("ada").await;
    let mut kept = browser.clone();
    browser.post("/auth/logout", None).await;
    kept.get("/mine").await.is_refused(401, "invalid_token");
    for answer in [browser.post("/auth/logout", None).await, kept.post("/auth/logout", None).await]
    {
        assert_eq!(answer.status, 204);
        assert!(answer.clears_the_cookie());
    }
}

#[tokio::test]
async fn a_logout_with_a_cookie_that_is_no_token_is_one() {
    let mut browser = World::new().browser();
    for value in ["nonsense", "a b", "\"", ""] {
        browser.cookies.insert(SESSION.into(), value.into());
        let answer = browser.post("/auth/logout", None).await;
        assert_eq!(answer.status, 204, "{value:?}");
        assert!(answer.clears_the_cookie());
    }
}

/// Once such a cookie of a script of the page hid the cookies of the session and the device.
#[tokio::test]
async fn a_cookie_of_another_program_may_have_any_bytes() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    let own: Vec<_> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let own = own.join("; ").into_bytes();
    for line in [
        [b"city=Z\xc3\xbcrich; ".as_slice(), &own].concat(),
        [&own, b"; city=Z\xfcrich".as_slice()].concat(),
    ] {
        let cookies = HeaderValue::from_bytes(&line).unwrap();
        let mine = Request::get("/mine").header("cookie", cookies).body(Body::empty());
        let answer = exchange(&world.app, mine.unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    // One of these two that is no token is refused, and never none.
    let cookie = HeaderValue::from_bytes(b"__Host-session=Z\xfcrich").unwrap();
    let anyone = Request::get("/anyone").header("cookie", cookie).body(Body::empty());
    let answer = exchange(&world.app, anyone.unwrap()).await;
    answer.is_refused(401, "invalid_token");
    assert!(answer.clears_the_cookie());
}

/// Once a header that no call could read made a logout of the cookie a success without an effect.
#[tokio::test]
async fn a_logout_beside_a_header_that_cannot_be_read_ends_the_session_of_the_cookie() {
    let world = World::new();
    for header in ["Negotiate YII=", "Bearer", "Basic ?", "Bearer Z\u{fc}rich"] {
        let browser = world.browser().signed_in("ada").await;
        let mut kept = browser.clone();
        let mut other = browser.header("authorization", header);
        let answer = other.post("/auth/logout", None).await;
        assert_eq!(answer.status, 204, "{header}");
        assert!(answer.clears_the_cookie());
        kept.get("/mine").await.is_refused(401, "invalid_token");
    }
}

/// Once the header alone counted: the cookie was cleared, and its session lived on.
#[tokio::test]
async fn a_logout_beside_the_header_of_another_session_ends_both() {
    let world = World::new();
    for header_is_live in [true, false] {
        let mut other = world.browser().signed_in("bob").await;
        let pair = format!("{}:{}", other.cookies[SESSION], other.cookies[DEVICE]);
        let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
        if !header_is_live {
            other.clone().post("/auth/logout", None).await;
        }
        let browser = world.browser().signed_in("ada").await;
        let mut kept = browser.clone();
        let answer = browser.header("authorization", basic).post("/auth/logout", None).await;
        assert_eq!(answer.status, 204, "{header_is_live}");
        assert!(answer.clears_the_cookie());
        kept.get("/mine").await.is_refused(401, "invalid_token");
        other.get("/mine").await.is_refused(401, "invalid_token");
    }
}

/// Once it was a success, and the sessions of both headers lived on.
#[tokio::test]
async fn a_logout_with_two_headers_is_refused_and_ends_no_session() {
    let world = World::new();
    let mut other = world.browser().signed_in("bob").await;
    let pair = format!("{}:{}", other.cookies[SESSION], other.cookies[DEVICE]);
    let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
    let mut browser = world.browser().signed_in("ada").await;
    for second in [basic.as_str(), "Negotiate YII=", "Bearer Z\u{fc}rich"] {
        for sender in [world.browser(), browser.clone()] {
            let one = sender.header("authorization", second);
            let mut both = one.header("authorization", basic.as_str());
            let answer = both.post("/auth/logout", None).await;
            answer.is_refused(400, "ambiguous_credential");
            assert!(answer.set_cookies().is_empty(), "{second}");
        }
    }
    assert_eq!(other.get("/mine").await.status, 200);
    assert_eq!(browser.get("/mine").await.status, 200);
}

/// Once the session of the cookie lived on.
#[test]
fn a_logout_ends_both_also_if_the_client_goes_away() {
    let world = World::new();
    on_one_thread(async {
        let mut other = world.browser().signed_in("bob").await;
        let pair = format!("{}:{}", other.cookies[SESSION], other.cookies[DEVICE]);
        let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
        let mut browser = world.browser().signed_in("ada").await;
        let mut both = browser.clone().header("authorization", basic);
        abandoned(both.post("/auth/logout", None)).await;
        other.get("/mine").await.is_refused(401, "invalid_token");
        browser.get("/mine").await.is_refused(401, "invalid_token");
    });
}

#[tokio::test]
async fn an_api_key_cannot_be_logged_out() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.key("ada"));
    let mut program = world.browser().header("authorization", bearer.clone());
    program.post("/auth/logout", None).await.is_refused(422, "invalid");
    assert_eq!(program.get("/key").await.status, 200);
    // Nor is the session beside it, whose cookie is kept.
    let mut browser = world.browser().signed_in("ada").await;
    let answer = browser.clone().header("authorization", bearer).post("/auth/logout", None).await;
    answer.is_refused(422, "invalid");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn a_session_that_has_expired_is_refused_and_its_cookie_cleared() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    world.clock.advance(Duration::from_secs(7 * 86_400));
    let answer = browser.get("/mine").await;
    answer.is_refused(401, "invalid_token");
    assert!(answer.clears_the_cookie());
}

#[tokio::test]
async fn a_forced_change_is_a_login_with_a_new_password() {
    let world = World::new();
    let ada = world.user("ada").id;
    let sessions = gatepost::sessions::RevokeSessions::Keep;
    world.store.users().require_password_change(ada, sessions).unwrap();
    let mut browser = world.browser();
    browser.log_in("ada", PASSWORD).await.is_refused(401, "new_password_required");
    let login = |new: &str| json!({"username": "ada", "password": PASSWORD, "new_password": new});
    let answer = browser.post("/auth/login", Some(login("short"))).await;
    answer.is_refused(422, "password_rejected");
    assert_eq!(answer.json()["rule"], "too_short");
    let answer = browser.post("/auth/login", Some(login("nine brass bells"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(browser.get("/mine").await.status, 200);
}
