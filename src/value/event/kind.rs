//! The closed list of what can happen to a store: every mutation and every login outcome.

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)+) => {
        /// What happened, from a closed list; [`name`](Self::name) is its form in the file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $kind,)+
        }

        impl EventKind {
            /// All kinds, in reading order.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The name in the file, as `noun.verb`. It never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The kind of that name, `None` if a newer library wrote it.
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
    // Organisations.
    /// An organisation was created.
    OrganisationCreated = "organisation.created",
    /// An organisation got another name.
    OrganisationRenamed = "organisation.renamed",
    /// An organisation was made active again.
    OrganisationActivated = "organisation.activated",
    /// An organisation was made inactive, which ends all sessions under it.
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
    /// A branch was made inactive, which ends all sessions under it.
    BranchDeactivated = "branch.deactivated",
    /// A branch was moved to another organisation, or to none.
    BranchMoved = "branch.moved",
    /// An empty branch was deleted.
    BranchDeleted = "branch.deleted",
    // Users.
    /// A user was created.
    UserCreated = "user.created",
    /// Fields of a user other than those below were changed.
    UserUpdated = "user.updated",
    /// A user got another username.
    UserRenamed = "user.renamed",
    /// A user's e-mail address was set, changed or removed.
    UserEmailChanged = "user.email_changed",
    /// A user was moved to another branch, or to none.
    UserMoved = "user.moved",
    /// A user's set of privileges was changed.
    UserPrivilegesChanged = "user.privileges_changed",
    /// A user's status became active.
    UserActivated = "user.activated",
    /// A user's status became pending.
    UserMadePending = "user.made_pending",
    /// An administrator locked a user.
    UserLocked = "user.locked",
    /// A user was disabled.
    UserDisabled = "user.disabled",
    /// A user's account was confirmed to be its owner's.
    UserConfirmed = "user.confirmed",
    /// A user was deleted.
    UserDeleted = "user.deleted",
    /// A deleted user was restored.
    UserRestored = "user.restored",
    // Passwords and attempts.
    /// Somebody other than the user set a password.
    PasswordSet = "password.set",
    /// A user changed the own password in a session.
    PasswordChanged = "password.changed",
    /// A change of the own password was refused.
    PasswordChangeRefused = "password.change_refused",
    /// A user's password was removed.
    PasswordRemoved = "password.removed",
    /// A new password is demanded at the next login.
    PasswordChangeRequired = "password.change_required",
    /// A password was declared to be worth nothing.
    PasswordMarkedCompromised = "password.marked_compromised",
    /// Failed attempts were forgiven.
    AttemptsUnlocked = "attempts.unlocked",
    /// Attempts were turned away unread; one row stands for a whole window.
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
    /// A branch or organisation has no count of credits any more.
    CreditsRemoved = "credits.removed",
    /// Credits were added.
    CreditsAdded = "credits.added",
    /// Credits were spent.
    CreditsSpent = "credits.spent",
    // API keys.
    /// An API key was issued.
    ApiKeyIssued = "api_key.issued",
    /// A new API key took the place of the old one.
    ApiKeyReassigned = "api_key.reassigned",
    /// An API key was revoked.
    ApiKeyRevoked = "api_key.revoked",
    /// All API keys of a user were revoked.
    ApiKeysRevoked = "user.api_keys_revoked",
    // Logins and sessions.
    /// A login opened a session.
    LoginGranted = "login.granted",
    /// A login was refused.
    LoginRefused = "login.refused",
    /// The host opened a session without a password.
    SessionOpened = "session.opened",
    /// A session was logged out by whoever held its token.
    SessionLoggedOut = "session.logged_out",
    /// One session was ended by its handle.
    SessionEnded = "session.ended",
    /// All sessions of a user but one were ended.
    SessionOthersEnded = "session.others_ended",
    /// A session got another label.
    SessionLabelled = "session.labelled",
    /// The host's document of a session was set.
    SessionDocumentSet = "session.document_set",
    /// All sessions of a user were ended.
    UserSessionsEnded = "user.sessions_ended",
    /// All sessions under a branch were ended.
    BranchSessionsEnded = "branch.sessions_ended",
    /// All sessions under an organisation were ended.
    OrganisationSessionsEnded = "organisation.sessions_ended",
    /// All sessions of the store were ended.
    StoreSessionsEnded = "store.sessions_ended",
    /// A device that a user had logged in on is known no more.
    DeviceForgotten = "device.forgotten",
    /// Tokens were refused; one row counts those of one reason and minute.
    VerifyRefused = "verify.refused",
    // The store and its host.
    /// The file was created: the first row of its log.
    StoreCreated = "store.created",
    /// The file was migrated to a newer schema version; the detail names both versions.
    StoreMigrated = "store.migrated",
    /// Expired rows were swept.
    StoreMaintained = "store.maintained",
    /// The host recorded something of its own.
    HostRecorded = "host.recorded",
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
    fn every_name_is_a_noun_and_a_verb() {
        for kind in EventKind::ALL {
            let (noun, verb) = kind.name().split_once('.').unwrap();
            let plain = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(
                plain(noun) && plain(verb) && !noun.is_empty() && !verb.is_empty(),
                "{kind:?}"
            );
        }
    }
}
