//! One door: no write revokes by another way.

use super::bans::named;
use super::source::Source;

/// The statements that end a session or a key, and those that raise a watermark and nothing else.
const REVOKES: &[&str] = &[
    "session::delete",
    "api_key::delete",
    "api_key::end_all_of",
    "user::raise",
    "branch::raise",
    "organisation::raise",
    "store::raise",
];
/// The one implementation of each target.
const APPLY: &str = "src/flow/revoke/apply.rs";
/// A password change renews the session in hand, where the target keeps it as it is.
const RENEWS: (&str, &str) = ("src/flow/password_change.rs", "user::raise");

/// Calls of these statements that do not come through the door of revocations.
pub(crate) fn elsewhere(file: &Source) -> Vec<String> {
    if file.name == APPLY {
        return Vec::new();
    }
    let may_stand = |name: &&&str| (file.name.as_str(), **name) != RENEWS;
    let banned: Vec<&str> = REVOKES.iter().filter(may_stand).copied().collect();
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
        check("src/flow/login/open.rs", "user::raise(tx, id, marks); api_key::delete(tx, id)", 2);
        check("src/flow/password_change.rs", "user::raise(tx, id, marks); store::raise(tx)", 1);
        check("src/flow/revoke/keys.rs", "api_key::end_all_of(tx, user, from)", 1);
        check(APPLY, "session::delete(tx, id); user::raise(tx, id, marks)", 0);
        check("src/flow/sweep.rs", "session::delete_expired(tx); user::raised(tx)", 0);
    }
}
