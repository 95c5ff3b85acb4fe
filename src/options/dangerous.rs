//! Options that give up a protection.

use super::Options;

/// Options that give up a protection: [`Options::dangerous`] makes it, and each method returns the
/// options with one protection given up.
///
/// ```
/// use gatepost::Options;
///
/// let options = Options::server().dangerous().allow_hard_links();
/// assert_ne!(options.clone().dangerous().allow_shared_directory(), options);
/// ```
#[derive(Debug)]
#[must_use]
pub struct DangerousOptions(Options);

impl DangerousOptions {
    pub(super) fn of(options: Options) -> Self {
        Self(options)
    }

    /// Permits a file on NFS, SMB or AFS, whose locks may lose writes. Without it, opening fails
    /// with [`Unsupported`](crate::ErrorKind::Unsupported).
    ///
    /// ```
    /// use gatepost::Options;
    ///
    /// let options = Options::server().dangerous().allow_network_file_system();
    /// assert_ne!(options, Options::server());
    /// ```
    pub fn allow_network_file_system(mut self) -> Options {
        self.0.tolerances.network_file_system = true;
        self.0
    }

    /// Permits a file that has more than one name: SQLite cannot protect it from a second program
    /// that opens it by another name. Without it, opening fails with
    /// [`Unsafe`](crate::ErrorKind::Unsafe).
    ///
    /// ```
    /// use gatepost::{ErrorKind, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// Store::open(&path, Options::server())?.close()?;
    /// std::fs::hard_link(&path, directory.path().join("other.db"))?;
    /// let error = Store::open(&path, Options::server()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unsafe);
    /// assert!(Store::open(&path, Options::server().dangerous().allow_hard_links()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_hard_links(mut self) -> Options {
        self.0.tolerances.hard_links = true;
        self.0
    }

    /// Permits a file that belongs to another user of the machine, who can read and change all of
    /// it. Without it, opening fails with [`Unsafe`](crate::ErrorKind::Unsafe).
    ///
    /// ```
    /// use gatepost::Options;
    ///
    /// let options = Options::server().dangerous().allow_foreign_owner();
    /// assert_ne!(options, Options::server());
    /// ```
    pub fn allow_foreign_owner(mut self) -> Options {
        self.0.tolerances.foreign_owner = true;
        self.0
    }

    /// Permits a file in a directory that any user of the machine can write to, and so can replace
    /// the file. Without it, opening fails with [`Unsafe`](crate::ErrorKind::Unsafe).
    ///
    /// ```
    /// use gatepost::Options;
    ///
    /// let options = Options::server().dangerous().allow_shared_directory();
    /// assert_ne!(options, Options::server());
    /// ```
    pub fn allow_shared_directory(mut self) -> Options {
        self.0.tolerances.shared_directory = true;
        self.0
    }

    /// Permits a file that other users of the machine can read or write and whose permissions
    /// cannot be changed, such as one on a mount of another system that has no permissions. A
    /// store on it reports [`PermissionsWide`](crate::status::OpenWarning::PermissionsWide).
    /// Without it, opening fails with [`Unsafe`](crate::ErrorKind::Unsafe).
    ///
    /// Where permissions can be changed, opening still changes them to 0600.
    ///
    /// ```
    /// use gatepost::Options;
    ///
    /// let options = Options::server().dangerous().allow_wide_permissions();
    /// assert_ne!(options, Options::server());
    /// ```
    pub fn allow_wide_permissions(mut self) -> Options {
        self.0.tolerances.wide_permissions = true;
        self.0
    }

    /// Permits the secrets of second factors to be stored unsealed by a process without a
    /// [`keyring`](Options::keyring): a copy of the file then gives an attacker every code of every
    /// user. Without it, [`enrol`](crate::second_factors::SecondFactors::enrol) and `import` fail
    /// with [`KeyMissing`](crate::ErrorKind::KeyMissing).
    ///
    /// Once there is a keyring, [`Store::rekey`](crate::Store::rekey) seals them.
    ///
    /// ```
    /// use gatepost::Options;
    ///
    /// let options = Options::server().dangerous().allow_unsealed_totp_secrets();
    /// assert_ne!(options, Options::server());
    /// ```
    pub fn allow_unsealed_totp_secrets(mut self) -> Options {
        self.0.unsealed_totp = true;
        self.0
    }
}
