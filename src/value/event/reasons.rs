//! The reasons of rows of something that was done, where the kind alone does not say what was
//! revoked. They never change.

/// A login that also set a new password, which revokes the other sessions of the user.
pub(crate) const PASSWORD_CHANGED: &str = "password_changed";
/// The same, and it revoked the API keys of the user.
pub(crate) const PASSWORD_CHANGED_KEYS_REVOKED: &str = "password_changed_keys_revoked";
/// A login that set a new password and used a recovery code up.
pub(crate) const PASSWORD_CHANGED_RECOVERY_CODE: &str = "password_changed_recovery_code";
/// The same, and it revoked the API keys of the user.
pub(crate) const PASSWORD_CHANGED_RECOVERY_CODE_KEYS_REVOKED: &str =
    "password_changed_recovery_code_keys_revoked";
/// A login by a recovery code, or one that enrolled a second factor; without a new password.
pub(crate) const SECOND_FACTOR_CHANGED: &str = "second_factor_changed";
/// A change that also revoked the API keys of the user.
pub(crate) const KEYS_REVOKED: &str = "keys_revoked";
/// A change at the next login was demanded, and the sessions were revoked until then.
pub(crate) const SESSIONS_REVOKED: &str = "sessions_revoked";
/// The first confirmation of an account.
pub(crate) const FIRST: &str = "first";
/// A change of the second factor that a recovery code proved.
pub(crate) const RECOVERY_CODE: &str = "recovery_code";

/// The cause of a revocation that found no room and was written late, without the rest of its call:
/// the deletion of a user.
pub(crate) const USER_DELETED: &str = "user_deleted";
/// The same: the first confirmation of an account.
pub(crate) const FIRST_CONFIRMED: &str = "first_confirmed";
/// The same: an invitation that was accepted.
pub(crate) const INVITATION_ACCEPTED: &str = "invitation_accepted";
/// The same: a reset of the password that was to revoke the API keys, too.
pub(crate) const PASSWORD_RESET_KEYS_REVOKED: &str = "password_reset_keys_revoked";
/// The same: a user's change of their password that was to revoke the API keys, too.
pub(crate) const OWN_PASSWORD_CHANGE_KEYS_REVOKED: &str = "own_password_change_keys_revoked";
/// The reasons of those that revoked the API keys of the user as well as the sessions.
pub(crate) const LATE_WITH_KEYS: [&str; 5] = [
    USER_DELETED,
    FIRST_CONFIRMED,
    INVITATION_ACCEPTED,
    PASSWORD_RESET_KEYS_REVOKED,
    OWN_PASSWORD_CHANGE_KEYS_REVOKED,
];

/// The reason of a login that set a new password: whether it also revoked the API keys, and whether
/// a recovery code was used up in it.
pub(crate) const fn of_new_password(revokes_keys: bool, by_recovery_code: bool) -> &'static str {
    match (revokes_keys, by_recovery_code) {
        (false, false) => PASSWORD_CHANGED,
        (true, false) => PASSWORD_CHANGED_KEYS_REVOKED,
        (false, true) => PASSWORD_CHANGED_RECOVERY_CODE,
        (true, true) => PASSWORD_CHANGED_RECOVERY_CODE_KEYS_REVOKED,
    }
}

/// Whether a login with this reason set a new password.
pub(crate) fn sets_password(reason: &str) -> bool {
    matches!(reason, PASSWORD_CHANGED | PASSWORD_CHANGED_KEYS_REVOKED) || recovers(reason)
}

/// Whether a login with this reason set a new password and used a recovery code up.
pub(crate) fn recovers(reason: &str) -> bool {
    matches!(reason, PASSWORD_CHANGED_RECOVERY_CODE | PASSWORD_CHANGED_RECOVERY_CODE_KEYS_REVOKED)
}

/// Whether a login with this reason revoked the API keys of the user.
pub(crate) fn login_revokes_keys(reason: &str) -> bool {
    matches!(reason, PASSWORD_CHANGED_KEYS_REVOKED | PASSWORD_CHANGED_RECOVERY_CODE_KEYS_REVOKED)
}
