//! The example server: how short it is, and that it does what it says.

use std::future::pending;
use std::process::Command;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::routing::get;
use gatepost_axum::{Auth, SignedIn, routes, serve_until};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::world::{Browser, PASSWORD, World, skipped};

#[expect(dead_code, reason = "the program's `main` is not called")]
#[path = "../../examples/server.rs"]
mod server;

const SOURCE: &str = include_str!("../../examples/server.rs");
const LINES_MAX: usize = 120;
const LINES_NAMING_MAX: usize = 15;

/// The items of `gatepost` and `gatepost_axum` that the example imports.
fn imported(source: &str) -> Vec<&str> {
    let lines = source.lines().filter(|line| line.starts_with("use gatepost"));
    let names = lines.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    names.filter(|name| !name.is_empty() && *name != "use").collect()
}

/// The lines outside `use` lines and bodies of routes that name one of those items.
fn naming(source: &str) -> Vec<&str> {
    let names = imported(source);
    let mut found = Vec::new();
    let (mut in_route, mut in_body) = (false, false);
    for line in source.lines() {
        in_route |= line.starts_with("async fn") && !line.starts_with("async fn main");
        let is_use = line.starts_with("use ") || line.starts_with("//");
        let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if !is_use && !in_body && words.any(|word| names.contains(&word)) {
            found.push(line);
        }
        in_body |= in_route && line.ends_with('{');
        if line == "}" {
            (in_route, in_body) = (false, false);
        }
    }
    found
}

#[test]
fn the_example_server_is_short() {
    let lines = SOURCE.lines().count();
    assert!(lines <= LINES_MAX, "{lines} lines");
    let naming = naming(SOURCE);
    assert!(naming.len() <= LINES_NAMING_MAX, "{}: {naming:#?}", naming.len());
    println!("{lines} lines, {} of them name an item of Gatepost", naming.len());
}

#[test]
fn the_first_server_of_the_manual_has_25_lines() {
    let page = include_str!("../../../manual/web.md");
    let code = page.split("\n```\n").find(|block| block.starts_with("use axum::")).unwrap();
    let is_hidden = |line: &&str| line.trim_start().starts_with("# ");
    assert_eq!(code.lines().filter(|line| !is_hidden(line)).count(), 25);
}

/// Whether the curl of this machine keeps the cookies of `http://localhost`; `None` without one.
fn curl_keeps_the_cookies_of_localhost() -> Option<bool> {
    let said = Command::new("curl").arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let mut version = said.split(' ').nth(1)?.split('.').map(str::parse::<u32>);
    Some((version.next()?.ok()?, version.next()?.ok()?) >= (7, 79))
}

/// Once another page said that curl needs HTTPS for this.
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_curl_in_the_manual_sign_in_and_say_hello() {
    if curl_keeps_the_cookies_of_localhost() != Some(true) {
        skipped("there is no curl of version 7.79 or later");
        return;
    }
    let page = include_str!("../../../manual/web.md");
    let lines = page.split("\n```").find_map(|block| block.strip_prefix("text\ncurl")).unwrap();
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let hello = |me: SignedIn| async move { format!("Hello, user {}.", me.principal.user) };
    let app = Router::new()
        .nest("/auth", routes::all())
        .route("/hello", get(hello))
        .with_state(auth.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    tokio::spawn(async move { serve_until(&auth, listener, app, pending()).await });
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-ec", &format!("curl{}", lines.replace("PORT", &port))]);
    // The proxy of the machine is not asked.
    shell.current_dir(directory.path()).env("no_proxy", "*");
    let ran = spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let expected = format!("Hello, user {}.", world.user("ada").id);
    assert!(said.ends_with(&expected), "{said} {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_line_that_names_an_item_is_counted() {
    let source = "use gatepost::{Store, User};\nfn f(store: &Store) {}\nasync fn g(\n    a: User,\n\
                  ) -> User {\n    Store::open()\n}\n\
                  fn h() {\n    Store::open()\n}\nfn i(s: Stores) {}";
    let found = naming(source);
    assert_eq!(
        found,
        ["fn f(store: &Store) {}", "    a: User,", ") -> User {", "    Store::open()"]
    );
}

fn browser(world: &World) -> Browser {
    let app: Router =
        server::app(Auth::new(world.store.clone()).allow_origin(server::PAGE).unwrap());
    World { app, store: world.store.clone(), clock: world.clock.clone() }.browser()
}

#[tokio::test]
async fn an_administrator_creates_disables_and_revokes() {
    let world = World::new();
    let mut root = browser(&world).signed_in("root").await;
    let account =
        json!({"username": "carol", "password": PASSWORD, "privileges": ["reports.read"]});
    let created = root.post("/admin/users", Some(account.clone())).await;
    assert_eq!(created.status, 201);
    root.post("/admin/users", Some(account)).await.is_refused(409, "taken");
    let mut carol = browser(&world).signed_in("carol").await;
    assert_eq!(carol.get("/reports").await.status, 200);
    carol.post("/admin/revoke-all", None).await.is_refused(403, "not_permitted");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(root.post(&format!("/admin/users/{id}/disable"), None).await.status, 204);
    carol.get("/reports").await.is_refused(401, "invalid_token");
    assert_eq!(root.post("/admin/revoke-all", None).await.status, 204);
    root.get("/auth/me").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_program_uses_its_key() {
    let world = World::new();
    let mut program =
        browser(&world).header("authorization", format!("Bearer {}", world.key("ada")));
    assert_eq!(program.get("/export").await.status, 200);
    assert_eq!(program.get("/reports").await.status, 200);
    let mut person = browser(&world).signed_in("ada").await;
    person.get("/export").await.is_refused(403, "not_permitted");
}

#[tokio::test]
async fn a_page_of_the_allowed_origin_may_call_and_read() {
    let world = World::new();
    let mut page = browser(&world).header("origin", server::PAGE);
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/auth/login")
        .header("origin", server::PAGE)
        .header("access-control-request-method", "POST");
    let answer = page.exchange(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["access-control-allow-origin"], server::PAGE);
    page.headers.push(("sec-fetch-site", "same-site".into()));
    let mut page = page.signed_in("ada").await;
    let answer = page.post("/auth/sessions/revoke-others", None).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-credentials"], "true");
    assert_eq!(answer.headers["access-control-expose-headers"], "retry-after");
}
