//! The one-time tokens of users: issued by `gatepost user`, listed and revoked by `gatepost token`.

use gatepost::sessions::{Redemption, RevokeApiKeys};
use gatepost::{DeviceId, LoginRequest, Password};

use crate::world::World;

const OTHER: &str = "seven geese at noon";

/// The store of a service whose users are `ada`, who is active, and `ben`, who is pending.
fn with_users() -> World {
    let world = World::new();
    world.person("ada");
    world.ok(&["user", "email", "ada", "ada@example.com"]);
    world.ok(&["user", "add", "ben", "--no-password", "--status", "pending"]);
    world
}

/// The token that a command prints, alone on standard output.
#[track_caller]
fn issued(world: &World, words: &[&str]) -> String {
    let ran = world.run(words);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{ran:?}");
    let token = ran.out.trim_end();
    assert!(token.starts_with("gpo_") && !ran.err.contains(token), "{ran:?}");
    assert!(ran.err.contains("It is shown only now"), "{ran:?}");
    token.to_owned()
}

fn reset(world: &World, token: &str) -> bool {
    let store = world.store();
    let done = store.one_time_tokens().reset_password(token, OTHER.into(), RevokeApiKeys::Keep);
    matches!(done.unwrap(), Redemption::Valid(_))
}

#[test]
fn a_reset_is_printed_once_and_sets_one_password() {
    let world = with_users();
    let first = issued(&world, &["user", "reset", "ada"]);
    let second = issued(&world, &["user", "reset", "ada", "--lifetime", "24h"]);
    // The second one ends the first.
    assert_eq!([reset(&world, &first), reset(&world, &second)], [false, true]);
    assert!(!reset(&world, &second));

    let row = world.row(&["user", "reset", "ada"]);
    assert!(reset(&world, row["token"].as_str().unwrap()));
    assert!(row["id"].is_string() && row["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn each_purpose_has_a_command() {
    let world = with_users();
    let invitation = issued(&world, &["user", "invite", "ben"]);
    let ben = world.store().one_time_tokens().accept_invitation(&invitation, OTHER.into());
    assert_eq!(ben.unwrap().valid().unwrap().username, "ben");

    let confirmation = issued(&world, &["user", "email-confirmation", "ada"]);
    let ada = world.store().one_time_tokens().confirm_email(&confirmation);
    assert!(ada.unwrap().valid().unwrap().confirmed_at.is_some());

    let temporary = issued(&world, &["user", "temporary-password", "ada"]);
    let login = LoginRequest::new("ada", Password::from(temporary), DeviceId::random().unwrap());
    let login = world.store().log_in(login.new_password(OTHER.into())).unwrap();
    assert!(login.granted().is_ok());
}

#[test]
fn a_token_is_issued_to_a_user_who_can_use_it_and_within_its_bound() {
    let world = with_users();
    let refused: [(&[&str], i32, &str); 5] = [
        (&["user", "reset", "ben"], 5, "for an active person"),
        (&["user", "invite", "ada"], 5, "for a pending person"),
        (&["user", "email-confirmation", "ben"], 5, "no e-mail address"),
        (&["user", "reset", "ada", "--lifetime", "25h"], 5, "longer than 24 hours"),
        (&["user", "reset", "cleo"], 3, "there is no user cleo"),
    ];
    for (words, code, says) in refused {
        world.refused(words, code, says);
    }
    assert!(world.rows(&["token", "list", "ada"]).is_empty());
}

#[test]
fn the_tokens_of_a_user_are_listed_without_their_secrets_and_revoked_after_a_question() {
    let world = with_users();
    let token = issued(&world, &["user", "reset", "ada"]);
    issued(&world, &["user", "temporary-password", "ada"]);
    let purposes = |world: &World| -> Vec<String> {
        let rows = world.rows(&["token", "list", "ada"]);
        rows.iter().map(|row| row["purpose"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(purposes(&world), ["password_reset", "temporary_password"]);
    assert!(!world.ok(&["token", "list", "ada", "--json"]).contains(&token));

    world.refused(&["token", "revoke", "ada"], 9, "not confirmed");
    assert_eq!(purposes(&world).len(), 2);
    world.ok(&["token", "revoke", "ada", "--yes"]);
    assert!(purposes(&world).is_empty() && !reset(&world, &token));
}

#[test]
fn init_says_how_the_first_administrator_is_created_once() {
    let world = World::empty();
    let init = world.run(&["init", "--preset", "server"]);
    assert!(init.err.contains("gatepost token first-administrator"), "{init:?}");
    let first = issued(&world, &["token", "first-administrator"]);
    let second = issued(&world, &["token", "first-administrator"]);
    let create = |token: &str| {
        let tokens = world.store();
        let created =
            tokens.one_time_tokens().create_first_administrator(token, "root", OTHER.into());
        created.unwrap().valid().map(|user| user.privileges)
    };
    assert!(create(&first).is_err(), "the second one ends the first");
    assert_eq!(create(&second).unwrap(), ["admin"]);
    world.refused(&["token", "first-administrator"], 4, "the store has an administrator");
    let events = world.rows(&["audit", "list"]);
    let events: Vec<_> = events.iter().map(|row| row["event"].clone()).collect();
    assert!(events.contains(&"user.first_administrator_created".into()), "{events:?}");
}
