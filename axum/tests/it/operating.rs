//! What an operator's tools read, and the end of a server.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gatepost_axum::{Auth, healthz, serve_until};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

use crate::world::{PASSWORD, World};

#[tokio::test]
async fn metrics_count_what_the_store_counts() {
    let world = World::new();
    let mut browser = world.browser();
    browser.log_in("ada", "a wrong guess").await;
    browser.log_in("ada", PASSWORD).await;
    let answer = browser.get("/metrics").await;
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let status = world.store.status();
    for line in [
        "# TYPE gatepost_open gauge".to_owned(),
        "gatepost_open 1".to_owned(),
        "gatepost_login_refusals_total{reason=\"invalid_credentials\"} 1".to_owned(),
        format!("gatepost_key_missing_refusals_total {}", status.key_missing_refusals),
        format!("gatepost_hashes_total {}", status.hashes_done),
        format!("gatepost_writes_total {}", status.writes),
        format!("gatepost_commits_total {}", status.commits),
        "gatepost_denied 0".to_owned(),
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line}\n{}", answer.body);
    }
    world.store.close().unwrap();
    let answer = browser.get("/metrics").await;
    assert!(answer.body.contains("\ngatepost_open 0\n"));
}

#[tokio::test]
async fn each_line_of_metrics_is_one_of_the_format() {
    let text = World::new().browser().get("/metrics").await.body;
    for line in text.lines() {
        let is_comment =
            line.starts_with("# HELP gatepost_") || line.starts_with("# TYPE gatepost_");
        let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<u64>().ok());
        assert!(is_comment || (line.starts_with("gatepost_") && value.is_some()), "{line}");
    }
    assert!(text.ends_with('\n'));
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_closes_the_store() {
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let app = Router::new().merge(healthz()).with_state(auth.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        serve_until(&auth, listener, app, async move { drop(ended.await) }).await
    });
    assert!(world.store.maintain().is_ok());
    end.send(()).unwrap();
    server.await.unwrap().unwrap();
    let error = world.store.maintain().unwrap_err();
    assert_eq!(error.kind(), gatepost::ErrorKind::Closed);
}

#[tokio::test]
async fn a_server_whose_store_has_closed_ends_with_an_error() {
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = Router::new();
    let server =
        tokio::spawn(
            async move { serve_until(&auth, listener, app, std::future::pending()).await },
        );
    world.store.close().unwrap();
    let error = server.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the store cannot go on: the store is closed");
}

/// Once it waited 30 s for requests that could not be answered any more, and was down meanwhile.
#[tokio::test]
async fn a_server_whose_store_has_closed_does_not_wait_for_long_requests() {
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Arc::new(Notify::new());
    let began = Arc::clone(&begun);
    let endless = get(async move || {
        began.notify_one();
        pending::<()>().await;
    });
    let app = Router::new().route("/endless", endless);
    let server = tokio::spawn(async move { serve_until(&auth, listener, app, pending()).await });
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /endless HTTP/1.1\r\nHost: site.example\r\n\r\n").await.unwrap();
    begun.notified().await;
    world.store.close().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(15), server).await;
    assert!(ended.expect("it has ended").unwrap().is_err());
}
