//! `gatepost explain` and `gatepost key attenuate`.

use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, Permission};

use crate::world::World;

/// A store with `ada`, and her token with its device, as the command reads them.
fn with_session(world: &World) -> (String, String) {
    world.person("ada");
    let store = world.store();
    let ada = store.users().find_by_username("ada").unwrap().unwrap().id;
    let device = DeviceId::new("till-1").unwrap();
    let reply = store.sessions().open(OpenSession::new(ada, device)).unwrap().granted().unwrap();
    let input = format!("{}\ntill-1\n", reply.session.token.expose());
    (input, reply.session.id.to_string())
}

#[test]
fn a_token_is_explained_in_a_sentence_with_its_row() {
    let world = World::new();
    let (input, session) = with_session(&world);
    let ran = world.run_with(&["explain"], &input);
    assert_eq!((ran.code, ran.out.as_str()), (0, "it is not refused now\n"));
    let alone = input.lines().next().unwrap();
    let ran = world.run_with(&["explain"], alone);
    assert!(ran.out.starts_with("it was presented with another device"), "{ran:?}");

    world.person("boss");
    world.ok(&["session", "revoke", &session, "--yes", "--as", "boss"]);
    let ran = world.run_with(&["explain"], &input);
    assert!(ran.out.starts_with("it was revoked\n"), "{ran:?}");
    assert!(ran.out.contains("session.revoked"), "{ran:?}");

    let row = world.row(&["explain", "--session", &session]);
    assert_eq!(
        (row["cause"].as_str(), row["reason"].as_str()),
        (Some("revoked"), Some("unknown"))
    );
    assert_eq!(row["evidence"]["row"]["event"], "session.revoked");
    assert!(row["evidence"]["row"]["actor"]["user"].is_string(), "{row}");
}

#[test]
fn a_login_is_explained_by_the_name_of_its_user() {
    let world = World::new();
    world.person("ada");
    world.ok(&["user", "lock", "ada"]);
    let row = world.row(&["explain", "--user", "ada"]);
    assert_eq!(row["cause"], "user_locked");
    assert_eq!(row["evidence"]["row"]["event"], "user.locked");
    world.refused(&["explain", "--user", "no-such"], 3, "there is no user");
    let no_key = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";
    let row = world.row(&["explain", "--key", no_key]);
    assert_eq!((row["cause"].as_str(), row["evidence"].as_str()), (Some("unknown"), Some("none")));
    world.refused(&["explain", "--key", no_key, "--user", "ada"], 2, "cannot be used with");
}

#[test]
fn a_key_is_made_from_a_key_and_can_do_less() {
    let world = World::new();
    world.ok(&["user", "add", "robot", "--system"]);
    world.ok(&["user", "privileges", "robot", "--grant", "a", "--grant", "b"]);
    let parent = world.ok(&["key", "issue", "robot", "--scope", "a", "--scope", "b"]);
    let words = ["key", "attenuate", "--scope", "a", "--label", "night run", "--lifetime", "1h"];
    let ran = world.run_with(&words, &parent);
    assert_eq!(ran.code, 0, "{ran:?}");
    let store = world.store();
    let principal = store.verify((ran.out.trim(), None)).unwrap().valid().unwrap();
    assert_eq!(store.may(&principal, "a").unwrap(), Permission::Granted);
    assert_eq!(store.may(&principal, "b").unwrap(), Permission::Denied);

    let more = world.run_with(&["key", "attenuate", "--scope", "c"], &parent);
    assert_eq!((more.code, more.out.as_str()), (5, ""), "{more:?}");
    let none = world.run_with(&["key", "attenuate"], "gpk_none");
    assert_eq!((none.code, none.out.as_str()), (1, ""), "{none:?}");

    world.ok(&["key", "revoke", "--user", "robot", "--yes"]);
    assert!(store.verify((ran.out.trim(), None)).unwrap().valid().is_err());
}

#[test]
fn a_key_is_made_from_a_session_and_its_device() {
    let world = World::new();
    let (input, session) = with_session(&world);
    let ran = world.run_with(&["key", "attenuate", "--json"], &input);
    assert_eq!(ran.code, 0, "{ran:?}");
    let row: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let key = row["key"].as_str().unwrap();
    assert!(world.store().verify((key, None)).unwrap().valid().is_ok());
    world.ok(&["session", "revoke", &session, "--yes"]);
    assert!(world.store().verify((key, None)).unwrap().valid().is_err());
}
