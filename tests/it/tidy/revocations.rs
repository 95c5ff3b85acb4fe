//! One door: no write revokes by another way.

use super::bans::named;
use super::source::Source;

/// The statements that delete a session or a key, and those that only raise a watermark.
const REVOKES: &[&str] = &[
    "session::delete",
    "session::erase_of",
    "api_key::set_end",
    "api_key::erase_of",
    "user::raise",
    "branch::raise",
    "organisation::raise",
    "store::raise",
    "make_way",
];
/// The one implementation of each target.
const APPLY: &str = "src/flow/revoke/apply.rs";
const DOOR: &str = "src/flow/revoke.rs";
/// Other callers that may call one of them, and why.
#[rustfmt::skip]
const EXCEPTIONS: &[(&str, &str)] = &[
    ("src/flow/password_change.rs", "user::raise"), // the session in hand is renewed, not kept
    ("src/flow/login/open.rs", "make_way"),         // replaced by the session that is opened
    ("src/flow/erase.rs", "session::erase_of"),     // in a write of the door, of a deleted user
    ("src/flow/erase.rs", "api_key::erase_of"),
    ("src/flow/revoke/devices.rs", "make_way"),     // a login replaced the one that was looked at
];

/// Calls of these statements that do not come through the door of revocations.
pub(crate) fn elsewhere(file: &Source) -> Vec<String> {
    if [APPLY, DOOR].contains(&file.name.as_str()) {
        return Vec::new();
    }
    let is_banned = |name: &&&str| !EXCEPTIONS.contains(&(file.name.as_str(), **name));
    let banned: Vec<&str> = REVOKES.iter().filter(is_banned).copied().collect();
    named(file, &banned, "is for flow/revoke/apply.rs: revoke through `Store::revoke`")
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expect: usize) {
        assert_eq!(elsewhere(&Source::new(name, text)).len(), expect, "{name}: {text}");
    }

    #[test]
    fn a_revocation_beside_the_door_is_found() {
        check("src/flow/sweep.rs", "fn f() { session::delete(tx, id)?; }", 1);
        check(
            "src/flow/login/open.rs",
            "user::raise(tx, id, marks); api_key::set_end(tx, id, at)",
            2,
        );
        check("src/flow/password_change.rs", "user::raise(tx, id, marks); store::raise(tx)", 1);
        check("src/flow/revoke/keys.rs", "api_key::set_end(tx, id, from)", 1);
        check("src/flow/session_open.rs", "make_way(tx, id)?", 1);
        check("src/flow/login/open.rs", "make_way(tx, id)?", 0);
        check(APPLY, "session::delete(tx, id); user::raise(tx, id, marks)", 0);
        check("src/flow/sweep.rs", "session::delete_expired(tx); user::raised(tx)", 0);
    }
}
