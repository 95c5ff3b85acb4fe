//! The reasons of rows of something that was done, where the kind alone does not say what was
//! revoked. They never change.

/// A login that also set a new password, which revokes the other sessions of the user.
pub(crate) const PASSWORD_CHANGED: &str = "password_changed";
/// The same, and it revoked the API keys of the user.
pub(crate) const PASSWORD_CHANGED_KEYS_REVOKED: &str = "password_changed_keys_revoked";
/// A login by a recovery code, or one that enrolled a second factor.
pub(crate) const SECOND_FACTOR_CHANGED: &str = "second_factor_changed";
/// A change that also revoked the API keys of the user.
pub(crate) const KEYS_REVOKED: &str = "keys_revoked";
/// A change at the next login was demanded, and the sessions were revoked until then.
pub(crate) const SESSIONS_REVOKED: &str = "sessions_revoked";
/// The first confirmation of an account.
pub(crate) const FIRST: &str = "first";
/// A change of the second factor that a recovery code proved.
pub(crate) const RECOVERY_CODE: &str = "recovery_code";

/// The reason of a login that was granted: whether it set a new password, also revoked the API
/// keys, or revoked the sessions of the user for another cause.
pub(crate) const fn of_login(
    sets_password: bool,
    revokes_keys: bool,
    revokes: bool,
) -> Option<&'static str> {
    match (sets_password, revokes_keys, revokes) {
        (true, true, _) => Some(PASSWORD_CHANGED_KEYS_REVOKED),
        (true, false, _) => Some(PASSWORD_CHANGED),
        (false, _, true) => Some(SECOND_FACTOR_CHANGED),
        (false, _, false) => None,
    }
}
