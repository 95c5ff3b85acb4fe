//! Resource tickets in URLs.

use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Path};
use axum::http::Method;
use axum::routing::get;
use gatepost_axum::{Auth, ByTicket, Rejection, SignedIn};

use crate::world::{Browser, World, app};

const BRIEF: Duration = Duration::from_secs(30);

/// The link to the image of that number; its whole target is in the query of the request.
async fn link(me: SignedIn, OriginalUri(uri): OriginalUri) -> Result<String, Rejection> {
    me.ticket_url(uri.query().unwrap_or_default(), BRIEF)
}

async fn image(caller: ByTicket, Path(image): Path<u32>) -> String {
    format!("{image} for {}", caller.bearer.user)
}

fn site() -> World {
    let world = World::new();
    let auth = Auth::new(world.store.clone());
    let images = Router::new().route("/{image}", get(image).post(image));
    let routes = Router::new().route("/link", get(link)).nest("/images", images);
    World { app: app(auth.clone()).merge(routes.with_state(auth)), ..world }
}

async fn linked(browser: &mut Browser, target: &str) -> String {
    let answer = browser.get(&format!("/link?{target}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn an_image_is_shown_by_its_own_ticket_alone() {
    let world = site();
    let ada = world.user("ada").id;
    let mut signed_in = world.browser().signed_in("ada").await;
    let url = linked(&mut signed_in, "/images/7").await;
    let ticket = url.strip_prefix("/images/7?").unwrap();
    let mut other = world.browser();
    assert_eq!(other.get(&url).await.body, format!("7 for {ada}"));
    assert_eq!(other.get(&url).await.status, 200, "as often as it is asked for");

    let sized = linked(&mut signed_in, "/images/7?size=2").await;
    assert!(sized.starts_with("/images/7?size=2&ticket=gpt_"), "{sized}");
    assert_eq!(other.get(&sized).await.status, 200);
    for refused in [
        "/images/7".to_owned(),
        "/images/7?ticket=".to_owned(),
        format!("/images/8?{ticket}"),
        format!("/images/7?size=2&{ticket}"),
        format!("/images/7?{ticket}&size=2"),
        sized.replace("size=2", "size=3"),
    ] {
        let answer = other.get(&refused).await;
        answer.is_refused(403, "invalid_ticket");
        assert!(answer.set_cookies().is_empty());
        // A cookie is no ticket.
        signed_in.clone().get(&refused).await.is_refused(403, "invalid_ticket");
    }
    other.send(Method::POST, &url, None).await.is_refused(403, "invalid_ticket");
}

#[tokio::test]
async fn a_ticket_signs_no_one_in() {
    let world = site();
    let url = linked(&mut world.browser().signed_in("ada").await, "/mine").await;
    let ticket = url.split_once("ticket=").unwrap().1;
    world.browser().get(&url).await.is_refused(401, "sign_in");
    let mut bearer = world.browser().header("authorization", format!("Bearer {ticket}"));
    bearer.get("/mine").await.is_refused(401, "invalid_token");
}

#[tokio::test]
async fn a_ticket_ends_with_its_session_and_after_its_seconds() {
    let world = site();
    let mut browser = world.browser().signed_in("ada").await;
    let url = linked(&mut browser, "/images/7").await;
    world.clock.advance(BRIEF - Duration::from_millis(1));
    assert_eq!(world.browser().get(&url).await.status, 200);
    world.clock.advance(Duration::from_millis(1));
    world.browser().get(&url).await.is_refused(403, "invalid_ticket");

    let url = linked(&mut browser, "/images/7").await;
    assert_eq!(browser.post("/auth/logout", None).await.status, 204);
    world.browser().get(&url).await.is_refused(403, "invalid_ticket");
}

#[tokio::test]
async fn only_a_session_gets_a_link_and_only_to_a_path() {
    let world = site();
    let key = format!("Bearer {}", world.key("ada"));
    let mut program = world.browser().header("authorization", key);
    program.get("/link?/images/7").await.is_refused(403, "not_permitted");
    let mut browser = world.browser().signed_in("ada").await;
    for target in ["", "images/7", "https://example.com/images/7", "*"] {
        browser.get(&format!("/link?{target}")).await.is_refused(422, "invalid_target");
    }
}
