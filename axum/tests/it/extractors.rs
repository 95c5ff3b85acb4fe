//! Who is accepted by which extractor, and by which credential.

use data_encoding::BASE64;
use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::UserStatus;
use gatepost::sessions::NewApiKey;
use serde_json::json;

use crate::world::{Browser, World};

/// The answers of `/mine`, `/anyone`, `/admin`, `/reports` and `/key`.
async fn statuses(browser: &mut Browser) -> [u16; 5] {
    let mut found = [0; 5];
    let paths = ["/mine", "/anyone", "/admin", "/reports", "/key"];
    for (status, path) in found.iter_mut().zip(paths) {
        *status = browser.get(path).await.status.as_u16();
    }
    found
}

#[tokio::test]
async fn each_extractor_accepts_its_callers_only() {
    let world = World::new();
    assert_eq!(statuses(&mut world.browser()).await, [401, 200, 401, 401, 401]);
    for (name, expected) in [
        ("root", [200, 200, 200, 403, 403]),
        ("ada", [200, 200, 403, 200, 403]),
        ("bob", [200, 200, 403, 403, 403]),
    ] {
        let mut browser = world.browser().signed_in(name).await;
        assert_eq!(statuses(&mut browser).await, expected, "{name}");
    }
    let mut program =
        world.browser().header("authorization", format!("Bearer {}", world.key("ada")));
    assert_eq!(statuses(&mut program).await, [200, 200, 403, 200, 200]);
}

#[tokio::test]
async fn the_scopes_of_a_key_limit_every_extractor() {
    let world = World::new();
    for (name, scopes, expected) in [
        ("ada", &["reports.read"][..], [200, 200, 403, 200, 200]),
        ("ada", &["reports.write"], [200, 200, 403, 403, 200]),
        ("root", &["reports.read"], [200, 200, 403, 403, 200]),
        ("root", &["admin"], [200, 200, 200, 403, 200]),
    ] {
        let keys = world.store.api_keys();
        let user = world.user(name).id;
        keys.revoke_all(user).unwrap();
        let new = NewApiKey::new().scopes(scopes.iter().copied());
        let key = keys.issue(user, new).unwrap().key.expose().to_owned();
        let mut program = world.browser().header("authorization", format!("Bearer {key}"));
        assert_eq!(statuses(&mut program).await, expected, "{name} {scopes:?}");
    }
}

#[tokio::test]
async fn without_a_credential_the_answer_asks_to_sign_in() {
    let mut browser = World::new().browser();
    let answer = browser.get("/mine").await;
    answer.is_refused(401, "sign_in");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(browser.get("/anyone").await.body, "anonymous");
}

#[tokio::test]
async fn a_refused_credential_is_never_anonymous() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    world.store.sessions().revoke_all(world.user("ada").id).unwrap();
    for path in ["/anyone", "/mine", "/admin", "/auth/me"] {
        let mut again = browser.clone();
        let answer = again.get(path).await;
        answer.is_refused(401, "invalid_token");
        assert!(answer.clears_the_cookie(), "{path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"");
    }
    // Once the browser has removed the cookie, it is anonymous.
    browser.get("/anyone").await;
    assert_eq!(browser.get("/anyone").await.body, "anonymous");
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_is_refused() {
    let world = World::new();
    for header in [
        "Bearer",
        "Bearer ",
        "Bearer gps_x",
        "Bearer a b",
        "Basic",
        "Basic !",
        "Digest a=b",
        "",
        " ",
        "Negotiate YII=",
    ] {
        let mut browser = world.browser().header("authorization", header);
        let answer = browser.get("/anyone").await;
        answer.is_refused(401, "invalid_token");
        assert!(answer.set_cookies().is_empty(), "{header}");
    }
    for cookie in ["", "nonsense", "a b", "\"\""] {
        let mut browser = world.browser();
        browser.cookies.insert("__Host-session".into(), cookie.into());
        let answer = browser.get("/anyone").await;
        answer.is_refused(401, "invalid_token");
        assert!(answer.clears_the_cookie(), "{cookie}");
    }
}

#[tokio::test]
async fn two_headers_are_refused() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.key("ada"));
    let mut twice = world.browser().header("authorization", bearer.clone());
    assert_eq!(twice.get("/mine").await.status, 200);
    twice.headers.push(("authorization", bearer));
    twice.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_refused_header_is_not_replaced_by_a_good_cookie() {
    let mut browser = World::new().browser().signed_in("ada").await;
    browser.headers.push(("authorization", "Bearer gps_other".into()));
    browser.get("/mine").await.is_refused(401, "invalid_token");
    browser.headers.clear();
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn basic_carries_the_token_and_the_device_of_a_session() {
    let world = World::new();
    let browser = world.browser().signed_in("ada").await;
    let (token, device) = (&browser.cookies["__Host-session"], &browser.cookies["__Host-device"]);
    for (pair, status) in [
        (format!("{token}:{device}"), 200),
        (format!("{token}:"), 401),
        (format!("{token}:another"), 401),
        (format!("{}:", world.key("ada")), 200),
        (format!("{}:{device}", world.key("bob")), 401),
    ] {
        let header = format!("Basic {}", BASE64.encode(pair.as_bytes()));
        let mut program = world.browser().header("authorization", header);
        assert_eq!(program.get("/mine").await.status, status);
    }
}

#[tokio::test]
async fn an_api_key_in_a_cookie_is_refused() {
    let world = World::new();
    let mut browser = world.browser();
    browser.cookies.insert("__Host-session".into(), world.key("ada"));
    browser.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn privileges_are_as_fresh_as_the_store() {
    let world = World::new();
    let mut browser = world.browser().signed_in("bob").await;
    let bob = world.user("bob").id;
    browser.get("/reports").await.is_refused(403, "not_permitted");
    world.store.users().set_privileges(bob, &["reports.read", "admin"]).unwrap();
    assert_eq!(browser.get("/reports").await.status, 200);
    assert_eq!(browser.get("/admin").await.status, 200);
    world.store.users().set_privileges(bob, &[]).unwrap();
    browser.get("/admin").await.is_refused(403, "not_permitted");
    world.store.users().set_status(bob, UserStatus::Disabled).unwrap();
    browser.get("/admin").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn the_store_of_a_caller_records_the_caller() {
    let world = World::new();
    let mut browser = world.browser().signed_in("ada").await;
    assert_eq!(browser.post("/create", Some(json!("carol"))).await.status, 200);
    let created = AuditFilter::new().kind(EventKind::UserCreated);
    let latest = world.store.audit().latest(1, &created).unwrap();
    assert_eq!(latest[0].actor.user(), Some(world.user("ada").id));
}
