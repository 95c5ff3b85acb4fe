//! The routes of one-time tokens: a forgotten password, a confirmation, an invitation.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use gatepost::directory::UserStatus;
use gatepost::sessions::{NewApiKey, NewOneTimeToken, Redemption, ResetMail, RevokeApiKeys};
use gatepost::{NewUser, UserId};
use gatepost_axum::{Auth, routes};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{Answer, Browser, PASSWORD, World, abandoned, app, on_one_thread, on_threads};

const OTHER: &str = "nine brass bells";
const REQUEST: &str = "/auth/request-password-reset";
const RESET: &str = "/auth/reset-password";
const CONFIRM: &str = "/auth/confirm-email";
const INVITATION: &str = "/auth/accept-invitation";
const FIRST: &str = "/auth/first-administrator";
const ALL: [&str; 5] = [REQUEST, RESET, CONFIRM, INVITATION, FIRST];

/// A site that has the routes, and the queue into which it puts its mail.
fn site() -> (World, Receiver<ResetMail>) {
    let world = World::new();
    let (queue, mails) = channel();
    world.store.users().set_email(world.user("ada").id, Some("ada@example.com")).unwrap();
    let auth = Auth::new(world.store.clone());
    let routes = routes::one_time_tokens(move |mail| {
        let _ = queue.send(mail); // A test may not look at it.
    });
    let routes = Router::new().nest("/auth", routes).with_state(auth.clone());
    (World { app: app(auth).merge(routes), ..world }, mails)
}

/// The next mail; it is handed over after the answer.
fn mail(mails: &Receiver<ResetMail>) -> ResetMail {
    mails.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn issue(world: &World, user: UserId, new: NewOneTimeToken) -> String {
    world.store.one_time_tokens().issue(user, new).unwrap().token.expose().to_owned()
}

async fn request(browser: &mut Browser, typed: &str) -> Answer {
    browser.post(REQUEST, Some(json!({ "username": typed }))).await
}

/// A body with the fields of every route that takes a token.
fn redemption(token: &str, new: &str) -> Option<Value> {
    let (username, password) = ("chief", new);
    Some(
        json!({ "token": token, "new_password": new, "username": username, "password": password }),
    )
}

#[tokio::test]
async fn a_forgotten_password_is_reset_once_and_ends_every_session() {
    let (world, mails) = site();
    let mut signed_in = world.browser().signed_in("ada").await;
    let mut browser = world.browser();
    assert_eq!(request(&mut browser, "ada@example.com").await.status, 202);
    let mail = mail(&mails);
    assert_eq!((mail.to.as_str(), mail.user), ("ada@example.com", world.user("ada").id));

    let token = mail.token.expose();
    let short = browser.post(RESET, redemption(token, "short")).await;
    short.is_refused(422, "password_rejected");
    assert_eq!(short.json()["rule"], "too_short");
    let done = browser.post(RESET, redemption(token, OTHER)).await;
    assert_eq!((done.status.as_u16(), done.body.as_str()), (204, ""));
    assert!(done.set_cookies().is_empty(), "it opens no session");

    signed_in.get("/mine").await.is_refused(401, "invalid_token");
    assert_eq!(world.browser().log_in("ada", PASSWORD).await.status, 401);
    assert_eq!(world.browser().log_in("ada", OTHER).await.status, 200);
    let again = browser.post(RESET, redemption(token, PASSWORD)).await;
    again.is_refused(422, "invalid_one_time_token");
}

#[tokio::test]
async fn a_request_is_answered_alike_for_every_name() {
    let (world, mails) = site();
    let mut browser = world.browser();
    let known = request(&mut browser, "ada").await;
    for typed in ["ada@example.com", "bob", "unknown@example.com", "", "\u{0}"] {
        let answer = request(&mut browser, typed).await;
        assert_eq!((answer.status, &answer.body), (known.status, &known.body), "{typed}");
        assert_eq!(answer.headers, known.headers, "{typed}");
    }
    for _ in 0..2 {
        assert_eq!(mail(&mails).to, "ada@example.com");
    }
    assert!(mails.recv_timeout(Duration::from_millis(50)).is_err());
}

#[tokio::test]
async fn an_answer_waits_for_no_mail() {
    let world = World::new();
    world.store.users().set_email(world.user("ada").id, Some("ada@example.com")).unwrap();
    let (answered, wait) = channel::<()>();
    let (report, sent) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let send = move |_: ResetMail| {
        let after_the_answer = wait.lock().unwrap().recv_timeout(Duration::from_secs(10));
        report.send(after_the_answer.is_ok()).unwrap();
    };
    let routes = Router::new().nest("/auth", routes::request_password_reset(send));
    let world = World { app: routes.with_state(Auth::new(world.store.clone())), ..world };
    assert_eq!(request(&mut world.browser(), "ada").await.status, 202);
    answered.send(()).unwrap();
    assert!(sent.recv_timeout(Duration::from_secs(60)).unwrap());
}

/// Once each mail took one of the threads that every login needs, and as many waited as were
/// requested.
#[test]
fn a_mail_server_that_does_not_answer_keeps_no_login_waiting_and_few_mails() {
    const SENT_AT_ONCE: usize = 4;
    const WAITING_MAX: usize = 256;
    const ASKS_AGAIN: usize = 100;
    let world = World::new();
    let name = |number: usize| format!("user{number}");
    let asked = SENT_AT_ONCE + WAITING_MAX + 3;
    for number in 0..asked {
        let address = format!("{}@example.com", name(number));
        world.store.users().create(NewUser::person(name(number)).email(address)).unwrap();
    }
    let (silent, server) = channel::<()>();
    let (server, begun) = (Mutex::new(server), AtomicUsize::new(0));
    let (report, sent) = channel();
    let send = Arc::new(move |mail: ResetMail| {
        let number = begun.fetch_add(1, Ordering::SeqCst);
        // Until it is dropped.
        let _ = server.lock().unwrap().recv();
        // A mail that waits is sent also after a panic.
        assert!(number >= SENT_AT_ONCE, "the server hung up");
        report.send(mail).unwrap();
    });
    let routes = routes::request_password_reset(move |mail| send(mail));
    let auth = Auth::new(world.store.clone());
    let routes = Router::new().nest("/auth", routes).with_state(auth.clone());
    let world = World { app: app(auth).merge(routes), ..world };
    let test = async move {
        let (mut browser, mut again) = (world.browser(), 0);
        let first = request(&mut browser, &name(0)).await;
        assert_eq!(first.status, 202);
        // One whose mail waits asks again: only the last link is valid.
        for number in (1..asked).chain([ASKS_AGAIN]) {
            let answer = request(&mut browser, &name(number)).await;
            assert_eq!((answer.status, &answer.body), (first.status, &first.body));
        }
        assert_eq!(world.browser().log_in("bob", PASSWORD).await.status, 200);
        drop(silent);
        for _ in 0..WAITING_MAX {
            let mail = sent.recv_timeout(Duration::from_secs(60)).unwrap();
            if mail.to.starts_with(&format!("{}@", name(ASKS_AGAIN))) {
                let (tokens, token) = (world.store.one_time_tokens(), mail.token.expose());
                let reset = tokens.reset_password(token, PASSWORD.into(), RevokeApiKeys::Keep);
                assert!(matches!(reset.unwrap(), Redemption::Valid(_)));
                again += 1;
            }
        }
        assert_eq!(again, 1);
        assert!(sent.recv_timeout(Duration::from_millis(50)).is_err());
    };
    on_threads(SENT_AT_ONCE + 1, async {
        timeout(Duration::from_secs(60), test).await.unwrap();
    });
}

/// Once the mail was lost: the link of the mail before was revoked, and no new one came.
#[test]
fn a_mail_is_sent_also_if_the_client_goes_away() {
    let (world, mails) = site();
    on_one_thread(async {
        abandoned(request(&mut world.browser(), "ada")).await;
        assert_eq!(mail(&mails).to, "ada@example.com");
    });
}

#[tokio::test]
async fn a_reset_revokes_api_keys_if_it_is_asked_to() {
    let (world, _) = site();
    let ada = world.user("ada").id;
    let mut browser = world.browser();
    for (is_asked, left) in [(json!(false), 1), (json!(true), 0)] {
        world.store.api_keys().revoke_all(ada).unwrap();
        world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        let token = issue(&world, ada, NewOneTimeToken::password_reset());
        let mut body = redemption(&token, OTHER).unwrap();
        body["revoke_api_keys"] = is_asked;
        assert_eq!(browser.post(RESET, Some(body)).await.status, 204);
        assert_eq!(world.store.api_keys().list(ada).unwrap().len(), left);
    }
}

#[tokio::test]
async fn an_address_is_confirmed_and_an_invitation_accepted() {
    let (world, _) = site();
    let mut browser = world.browser();
    let ada = world.user("ada").id;
    let token = issue(&world, ada, NewOneTimeToken::email_confirmation());
    let body = || Some(json!({ "token": token }));
    assert_eq!(browser.post(CONFIRM, body()).await.status, 204);
    assert!(world.user("ada").confirmed_at.is_some());
    browser.post(CONFIRM, body()).await.is_refused(422, "invalid_one_time_token");

    let cleo = NewUser::person("cleo").status(UserStatus::Pending);
    let cleo = world.store.users().create(cleo).unwrap().id;
    let token = issue(&world, cleo, NewOneTimeToken::invitation());
    let short = browser.post(INVITATION, redemption(&token, "short")).await;
    short.is_refused(422, "password_rejected");
    assert_eq!(browser.post(INVITATION, redemption(&token, OTHER)).await.status, 204);
    assert_eq!(world.browser().log_in("cleo", OTHER).await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_one_answer_and_signs_no_one_out() {
    let (world, _) = site();
    let mut browser = world.browser().signed_in("ada").await;
    let confirmation = issue(&world, world.user("ada").id, NewOneTimeToken::email_confirmation());
    let mut bodies = Vec::new();
    for path in &ALL[1..] {
        for token in ["gpo_forged", "", &confirmation] {
            if (*path, token) == (CONFIRM, confirmation.as_str()) {
                continue;
            }
            let answer = browser.post(path, redemption(token, OTHER)).await;
            answer.is_refused(422, "invalid_one_time_token");
            assert!(answer.set_cookies().is_empty());
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(browser.get("/mine").await.status, 200);
}

#[tokio::test]
async fn every_answer_is_neither_stored_nor_named_to_another_site() {
    let (world, _) = site();
    let token = issue(&world, world.user("ada").id, NewOneTimeToken::password_reset());
    let mut browser = world.browser();
    let mut answers = vec![request(&mut browser, "ada").await];
    for path in ALL {
        answers.push(browser.post(path, redemption(&token, "short")).await);
        answers.push(browser.post(path, None).await);
    }
    for answer in answers {
        assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.body);
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{}", answer.body);
    }
}

#[tokio::test]
async fn another_site_cannot_use_the_routes() {
    let (world, mails) = site();
    let mut forged = world.browser().header("sec-fetch-site", "cross-site");
    let token = issue(&world, world.user("ada").id, NewOneTimeToken::password_reset());
    request(&mut forged, "ada").await.is_refused(403, "cross_site_request");
    for path in ALL {
        let answer = forged.post(path, redemption(&token, OTHER)).await;
        answer.is_refused(403, "cross_site_request");
    }
    assert_eq!(world.browser().log_in("ada", PASSWORD).await.status, 200);
    assert!(mails.try_recv().is_err());
}

#[tokio::test]
async fn a_store_that_cannot_write_is_503_for_every_name() {
    let (world, _) = site();
    world.store.clone().close().unwrap();
    let mut browser = world.browser();
    let [known, unknown] = [request(&mut browser, "ada").await, request(&mut browser, "x").await];
    known.is_refused(503, "unavailable");
    assert_eq!(known.body, unknown.body);
    browser.post(RESET, redemption("gpo_forged", OTHER)).await.is_refused(503, "unavailable");
}

#[tokio::test]
async fn the_first_administrator_is_created_once_and_logs_in() {
    let (world, _mails) = site();
    let tokens = || world.store.one_time_tokens();
    world.store.users().set_privileges(world.user("root").id, &[]).unwrap();
    let token = tokens().issue_first_administrator().unwrap().token.expose().to_owned();
    let create = |name: &str, password: &str| {
        Some(json!({ "token": token, "username": name, "password": password }))
    };
    let mut browser = world.browser();
    let short = browser.post(FIRST, create("chief", "short")).await;
    short.is_refused(422, "password_rejected");
    let done = browser.post(FIRST, create("chief", OTHER)).await;
    assert_eq!((done.status.as_u16(), done.body.as_str()), (204, ""));
    assert!(done.set_cookies().is_empty(), "it opens no session");
    assert_eq!(done.headers["referrer-policy"], "no-referrer");
    assert_eq!(world.browser().log_in("chief", OTHER).await.status, 200);
    assert_eq!(world.user("chief").privileges, ["admin"]);
    browser.post(FIRST, create("other", OTHER)).await.is_refused(422, "invalid_one_time_token");
}
