//! The closed list of audit events: every mutation of a store, and every login outcome.

macro_rules! event_kinds {
    ($enum:ident: $($(#[$doc:meta])* $kind:ident = $name:literal,)+) => {
        /// The kind of an audit event, from a closed list; [`name`](Self::name) is its text in the
        /// file.
        ///
        /// ```
        /// use gatepost::audit::EventKind;
        ///
        /// assert_eq!(EventKind::LoginRefused.name(), "login.refused");
        /// assert_eq!(EventKind::from_name("login.refused"), Some(EventKind::LoginRefused));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $enum {
            $($(#[$doc])* $kind,)+
        }

        impl $enum {
            /// All kinds, in reading order.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The name in the file, as `subject.verb`. It never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The kind with that name; `None` if the library has none, for example because a
            /// newer version wrote it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$kind),)+
                    _ => None,
                }
            }
        }
    };
}

event_kinds! {
    EventKind:
    // Organisations.
    /// An organisation was created.
    OrganisationCreated = "organisation.created",
    /// An organisation got another name.
    OrganisationRenamed = "organisation.renamed",
    /// An organisation was made active again.
    OrganisationActivated = "organisation.activated",
    /// An organisation was made inactive, which revokes all sessions under it.
    OrganisationDeactivated = "organisation.deactivated",
    /// An empty organisation was deleted.
    OrganisationDeleted = "organisation.deleted",
    // Branches.
    /// A branch was created.
    BranchCreated = "branch.created",
    /// A branch got another name.
    BranchRenamed = "branch.renamed",
    /// A branch was made active again.
    BranchActivated = "branch.activated",
    /// A branch was made inactive, which revokes all sessions under it.
    BranchDeactivated = "branch.deactivated",
    /// A branch was moved to another organisation, or to none.
    BranchMoved = "branch.moved",
    /// An empty branch was deleted.
    BranchDeleted = "branch.deleted",
    // Users.
    /// A user was created; the detail is its privileges, each after a plus. What does not fit into
    /// it is in rows of changed privileges.
    UserCreated = "user.created",
    /// Fields of a user other than those below were changed.
    UserUpdated = "user.updated",
    /// A user got another username.
    UserRenamed = "user.renamed",
    /// A user's e-mail address was set, changed or removed.
    UserEmailChanged = "user.email_changed",
    /// A user was moved to another branch, or to none.
    UserMoved = "user.moved",
    /// A user's set of privileges was changed; the detail is each privilege that it lost, after a
    /// minus, and each that it got, after a plus. What does not fit into one row is in several.
    UserPrivilegesChanged = "user.privileges_changed",
    /// A user was made the administrator of an organisation or a branch.
    UserAdministrationGranted = "user.administration_granted",
    /// The administration of an organisation or a branch was withdrawn from a user.
    UserAdministrationWithdrawn = "user.administration_withdrawn",
    /// A user's status became active.
    UserActivated = "user.activated",
    /// A user's status became pending.
    UserMadePending = "user.made_pending",
    /// An administrator locked a user.
    UserLocked = "user.locked",
    /// A user was disabled.
    UserDisabled = "user.disabled",
    /// A user's account was confirmed to belong to its owner.
    UserConfirmed = "user.confirmed",
    /// A user was deleted.
    UserDeleted = "user.deleted",
    /// A deleted user was restored.
    UserRestored = "user.restored",
    /// What the file kept about a deleted user was erased.
    UserErased = "user.erased",
    // Passwords and attempts.
    /// The host set a password of a user.
    PasswordSet = "password.set",
    /// A user changed their own password in a session.
    PasswordChanged = "password.changed",
    /// A user's change of their own password was refused. One that was refused without a hash is
    /// only counted, by minute.
    PasswordChangeRefused = "password.change_refused",
    /// A user's password was removed.
    PasswordRemoved = "password.removed",
    /// A user must set a new password at the next login.
    PasswordChangeRequired = "password.change_required",
    /// A password was marked as compromised: no login accepts it.
    PasswordMarkedCompromised = "password.marked_compromised",
    /// The count of failed attempts of a user was reset.
    AttemptsUnlocked = "attempts.unlocked",
    /// A failed attempt was the one after which one attempt a day is compared, or none until an
    /// administrator acts.
    AttemptsThrottled = "attempts.throttled",
    // Configuration and credits.
    /// A configuration value was set.
    ConfigurationSet = "configuration.set",
    /// A configuration value was removed.
    ConfigurationRemoved = "configuration.removed",
    /// A configuration key was made part of login replies.
    ConfigurationMadePublic = "configuration.made_public",
    /// A configuration key was taken out of login replies.
    ConfigurationMadePrivate = "configuration.made_private",
    /// A count of credits was set.
    CreditsSet = "credits.set",
    /// The count of credits of a branch or organisation was removed.
    CreditsRemoved = "credits.removed",
    /// Credits were added.
    CreditsAdded = "credits.added",
    /// Credits were spent.
    CreditsSpent = "credits.spent",
    // API keys.
    /// An API key was issued.
    ApiKeyIssued = "api_key.issued",
    /// An API key was made from a session, or from the key whose id is the detail.
    ApiKeyAttenuated = "api_key.attenuated",
    /// A new API key replaced the one whose id begins the detail; with an overlap, it says until
    /// when the old one is valid.
    ApiKeyRotated = "api_key.rotated",
    /// An API key was revoked.
    ApiKeyRevoked = "api_key.revoked",
    /// All API keys of a user were revoked.
    ApiKeysRevoked = "user.api_keys_revoked",
    // One-time tokens.
    /// A one-time token was issued; the detail is its purpose.
    OneTimeTokenIssued = "one_time_token.issued",
    /// A one-time token was refused; the detail is the purpose that was asked for. A token that is
    /// not in the file is only counted, by minute.
    OneTimeTokenRefused = "one_time_token.refused",
    /// All one-time tokens of a user were revoked.
    OneTimeTokensRevoked = "user.one_time_tokens_revoked",
    /// A password reset was requested with a typed name, of a user or of none.
    PasswordResetRequested = "password.reset_requested",
    /// A user set a new password with a one-time token.
    PasswordReset = "password.reset",
    /// A pending user accepted an invitation, set the first password and became active.
    InvitationAccepted = "user.invitation_accepted",
    // Second factors.
    /// A user began to enrol a second factor; it is in force once it is confirmed.
    SecondFactorEnrolmentBegun = "second_factor.enrolment_begun",
    /// A user confirmed an enrolment; the detail is the algorithm and the number of digits.
    SecondFactorAdded = "second_factor.added",
    /// A user confirmed an enrolment that replaced the earlier second factor; the detail is as
    /// above.
    SecondFactorReplaced = "second_factor.replaced",
    /// The host imported a second factor from another system; the detail is as above.
    SecondFactorImported = "second_factor.imported",
    /// A user removed the second factor with password and code.
    SecondFactorRemoved = "second_factor.removed",
    /// An administrator removed the second factor of a user.
    SecondFactorReset = "second_factor.reset",
    /// A user's change of the second factor was refused; the detail is the change. One that was
    /// refused without a hash or a comparison is only counted, by minute.
    SecondFactorRefused = "second_factor.refused",
    /// A user got a new set of recovery codes.
    RecoveryCodesReissued = "second_factor.codes_reissued",
    /// The first administrator of the store was created with a one-time token. It has the privilege
    /// `admin` alone.
    FirstAdministratorCreated = "user.first_administrator_created",
    // External identities.
    /// An external identity was linked to a user; the detail is its provider.
    ExternalIdentityLinked = "external_identity.linked",
    /// An external identity was unlinked from its user; the detail is its provider.
    ExternalIdentityUnlinked = "external_identity.unlinked",
    // Logins and sessions.
    /// A login opened a session. The detail says whether the device is new to the user, and until
    /// when the login trusts it; the reason, whether the login set a new password, used a recovery
    /// code up or enrolled a second factor.
    LoginGranted = "login.granted",
    /// The password of a login was right, and the login waits for a second factor; the detail is
    /// what it waits for.
    LoginPending = "login.pending",
    /// A login was refused; the detail is the rule that a new password breaks.
    LoginRefused = "login.refused",
    /// The host opened a session without a password.
    SessionOpened = "session.opened",
    /// An administrator opened a session to act as the user.
    SessionImpersonated = "session.impersonated",
    /// A client logged out of its session.
    SessionLoggedOut = "session.logged_out",
    /// One session was revoked by its id.
    SessionRevoked = "session.revoked",
    /// All sessions of a user except one were revoked.
    SessionOthersRevoked = "session.others_revoked",
    /// A login replaced a live session: it took the session's device, or its place among the
    /// sessions of its user. The detail names the session that was opened.
    SessionReplaced = "session.replaced",
    /// The expiry of a session was moved; its token is the same.
    SessionRenewed = "session.renewed",
    /// A user proved in a session, with a password or a code, to be the user; the session got a new
    /// token.
    SessionProved = "session.proved",
    /// A proof in a session was refused. One that was refused without a hash or a comparison is
    /// only counted, by minute.
    SessionProofRefused = "session.proof_refused",
    /// A session got another label.
    SessionLabelled = "session.labelled",
    /// The host's own data of a session was set.
    SessionDataSet = "session.data_set",
    /// All sessions of a user were revoked.
    UserSessionsRevoked = "user.sessions_revoked",
    /// All sessions under a branch were revoked.
    BranchSessionsRevoked = "branch.sessions_revoked",
    /// All sessions under an organisation were revoked.
    OrganisationSessionsRevoked = "organisation.sessions_revoked",
    /// All sessions of the store were revoked.
    StoreSessionsRevoked = "store.sessions_revoked",
    /// A device on which a user had logged in was forgotten.
    DeviceForgotten = "device.forgotten",
    /// The trust of all devices of a user was revoked; with the detail `wrong code`, that of the
    /// one device on which a wrong code was typed beside the right password.
    DeviceTrustRevoked = "user.device_trust_revoked",
    /// Tokens were refused; one row counts the refusals of one reason in one minute.
    VerifyRefused = "verify.refused",
    // The store and its host.
    /// The file was created: the first row of its log.
    StoreCreated = "store.created",
    /// The file was migrated to a newer schema version; the detail names both versions.
    StoreMigrated = "store.migrated",
    /// A backup was written; the count is that of its pages.
    StoreBackedUp = "store.backed_up",
    /// A backup was not written; the detail is the kind of the error.
    StoreBackupFailed = "store.backup_failed",
    /// A backup was restored: every session, API key and one-time token is revoked. The count is of
    /// what stayed stricter than in the backup.
    StoreRestored = "store.restored",
    /// A copy that was put in place by other means was taken in: every session, API key and
    /// one-time token is revoked.
    StoreAdopted = "store.adopted",
    /// Options that the file stores were changed; the detail names them.
    StoreOptionsChanged = "store.options_changed",
    /// Password hashes and secrets of second factors are sealed under another key from now on, or
    /// for the first time; the detail is the id of the key.
    StoreKeyChanged = "store.key_changed",
    /// Stored password hashes and secrets of second factors were sealed under the file's key; the
    /// detail is its id.
    StoreRekeyed = "store.rekeyed",
    /// A consumer of the audit log was added; the detail is its name.
    ConsumerAdded = "audit.consumer_added",
    /// A consumer of the audit log was removed; the detail is its name.
    ConsumerRemoved = "audit.consumer_removed",
    /// Expired rows were deleted.
    StoreMaintained = "store.maintained",
    /// The host program recorded an event of its own.
    HostRecorded = "host.recorded",
}

impl EventKind {
    /// Whether an administrator who acts as a user may not do it: it makes, replaces or removes
    /// what a user logs in with, makes a user or brings one back, changes what a user may do, or
    /// opens a session. What only revokes is allowed.
    pub(crate) const fn is_barred_in_impersonation(self) -> bool {
        matches!(
            self,
            Self::UserCreated
                | Self::UserRestored
                | Self::UserAdministrationGranted
                | Self::UserAdministrationWithdrawn
                | Self::UserRenamed
                | Self::UserEmailChanged
                | Self::UserPrivilegesChanged
                | Self::UserConfirmed
                | Self::PasswordSet
                | Self::PasswordChanged
                | Self::PasswordRemoved
                | Self::PasswordMarkedCompromised
                | Self::PasswordReset
                | Self::InvitationAccepted
                | Self::ApiKeyIssued
                | Self::ApiKeyAttenuated
                | Self::ApiKeyRotated
                | Self::OneTimeTokenIssued
                | Self::PasswordResetRequested
                | Self::SecondFactorEnrolmentBegun
                | Self::SecondFactorAdded
                | Self::SecondFactorReplaced
                | Self::SecondFactorImported
                | Self::SecondFactorRemoved
                | Self::SecondFactorReset
                | Self::RecoveryCodesReissued
                | Self::FirstAdministratorCreated
                | Self::ExternalIdentityLinked
                | Self::ExternalIdentityUnlinked
                | Self::LoginGranted
                | Self::SessionOpened
                | Self::SessionImpersonated
                | Self::SessionProved
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_is_found_by_its_own_name_alone() {
        let names: HashSet<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(EventKind::from_name("user.Created"), None);
    }

    #[test]
    fn every_name_is_a_subject_and_a_verb() {
        for kind in EventKind::ALL {
            let (subject, verb) = kind.name().split_once('.').unwrap();
            let plain = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(
                plain(subject) && plain(verb) && !subject.is_empty() && !verb.is_empty(),
                "{kind:?}"
            );
        }
    }
}
