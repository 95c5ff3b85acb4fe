//! What of a row its user, or the operators, should learn of.

use crate::value::event::{
    AuditEntry, EventKind, Outcome, PASSWORD_REMOVED, reasons, says_new_device,
};

/// What a row has that its user should learn of (ASVS 6.3.5 and 6.3.7), or the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Notice {
    /// The user logged in on a device for the first time.
    NewDevice,
    /// The password was set, changed, reset, removed or marked as compromised.
    PasswordChanged,
    /// The username or the e-mail address was changed.
    ContactChanged,
    /// Failed attempts stopped further ones for a day or longer.
    LockedOut,
    /// The second factor was added, replaced, imported, removed or reset, recovery codes were
    /// reissued, or one was used.
    FactorChanged,
    /// A login set a new password and used a recovery code up: both of the two above.
    PasswordAndFactorChanged,
    /// An external identity was linked, by which the user can log in, or unlinked.
    IdentityChanged,
    /// An administrator opened a session to act as the user.
    Impersonated,
    /// A backup was not written. The row has no user: those who operate the store should learn of
    /// it.
    BackupFailed,
}

impl AuditEntry {
    /// Returns what the user of the row should learn of; `None` for every other row, and for a
    /// refusal.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::audit::{AuditFilter, Notice};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// store.users().rename(ada.id, "augusta")?;
    ///
    /// let newest = &store.audit().latest(1, &AuditFilter::new())?[0];
    /// assert_eq!((newest.user, newest.notice()), (Some(ada.id), Some(Notice::ContactChanged)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn notice(&self) -> Option<Notice> {
        let kind = EventKind::from_name(&self.event).filter(|_| !self.from_host)?;
        if self.outcome == Outcome::Refused && kind != EventKind::StoreBackupFailed {
            return None;
        }
        match kind {
            EventKind::LoginGranted | EventKind::SessionOpened => match self.reason.as_deref() {
                Some(reason) if reasons::recovers(reason) => {
                    Some(Notice::PasswordAndFactorChanged)
                }
                Some(reason) if reasons::sets_password(reason) => Some(Notice::PasswordChanged),
                Some(reasons::SECOND_FACTOR_CHANGED) => Some(Notice::FactorChanged),
                _ => {
                    let is_new = self.detail.as_deref().is_some_and(says_new_device);
                    is_new.then_some(Notice::NewDevice)
                }
            },
            EventKind::PasswordSet
            | EventKind::PasswordChanged
            | EventKind::PasswordReset
            | EventKind::PasswordRemoved
            | EventKind::PasswordMarkedCompromised
            | EventKind::InvitationAccepted => Some(Notice::PasswordChanged),
            EventKind::UserConfirmed => {
                let has_removed = self.detail.as_deref() == Some(PASSWORD_REMOVED);
                has_removed.then_some(Notice::PasswordChanged)
            }
            EventKind::UserRenamed | EventKind::UserEmailChanged => Some(Notice::ContactChanged),
            EventKind::AttemptsThrottled => Some(Notice::LockedOut),
            EventKind::SecondFactorAdded
            | EventKind::SecondFactorReplaced
            | EventKind::SecondFactorImported
            | EventKind::SecondFactorRemoved
            | EventKind::SecondFactorReset
            | EventKind::RecoveryCodesReissued => Some(Notice::FactorChanged),
            EventKind::SecondFactorEnrolmentBegun => {
                let by_code = self.reason.as_deref() == Some(reasons::RECOVERY_CODE);
                by_code.then_some(Notice::FactorChanged)
            }
            EventKind::ExternalIdentityLinked | EventKind::ExternalIdentityUnlinked => {
                Some(Notice::IdentityChanged)
            }
            EventKind::SessionImpersonated => Some(Notice::Impersonated),
            EventKind::StoreBackupFailed => Some(Notice::BackupFailed),
            _ => None,
        }
    }
}
