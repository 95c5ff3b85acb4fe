//! Changing the options that the file keeps: one audited write.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::record::audit::Written;
use crate::record::{options, user};
use crate::spans;
use crate::store::Store;
use crate::value::event::{Event, EventKind};

impl Store {
    /// Changes the options of the file and the policy that the file keeps.
    ///
    /// `change` gets the stored options and returns the new ones. It must not call the store. If
    /// nothing differs, nothing is written.
    ///
    /// An option of the file is in force in every process when this returns, because each process
    /// reads it in the write that depends on it. An account that waits after failed attempts keeps
    /// its wait. A policy is in force for each store that is opened with [`Options::stored`] from
    /// then on; a process that passed its own policy keeps that. The audit log names the options
    /// that changed (`store.options_changed`).
    ///
    /// Waits up to 5 s for other writers.
    ///
    /// ```
    /// use gatepost::policy::Lockout;
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.change_options(|options| options.lockout(Lockout::Permanent).login_by_email(true))?;
    ///
    /// let users = store.users();
    /// users.create(NewUser::person("ada").email("ada@example.com"))?;
    /// let twice = users.create(NewUser::person("bob").email("ada@example.com"));
    /// assert_eq!(twice.unwrap_err().kind(), ErrorKind::Taken);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with one of these, after
    /// which nothing has changed:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if an option is out of its bounds, or `change`
    ///   returns another value of an option of the process or of `for_tests`, which this call does
    ///   not change;
    /// - [`Taken`](crate::ErrorKind::Taken) for `login_by_email`, while two users share an e-mail
    ///   address or the address of one is the username of another.
    pub fn change_options(&self, change: impl FnOnce(Options) -> Options) -> Result<()> {
        spans::span!("change_options");
        self.write(|tx| {
            let before = options::stored(tx, self.options())?;
            let after = change(before.clone());
            check_kinds(&before, &after)?;
            after.check_bounds()?;
            let mut changed = before.file.differences(&after.file);
            changed.extend(before.policy_differences(&after));
            if changed.is_empty() {
                return Ok(Written::Nothing(()));
            }
            if after.file.login_by_email && !before.file.login_by_email {
                user::check_emails_log_in(tx)?;
            }
            options::keep(tx, &after)?;
            let event = Event::new(EventKind::StoreOptionsChanged).detail(changed.join(", "));
            Ok(Written::With((), event))
        })
    }
}

/// Refuses what this call does not change.
fn check_kinds(before: &Options, after: &Options) -> Result<()> {
    if after.are_stored() {
        return Err(Error::invalid(
            "change_options: the closure returned Options::stored() instead of the options that \
             it was given",
        ));
    }
    if before.file.for_tests != after.file.for_tests {
        return Err(Error::invalid("change_options: for_tests is decided when a file is created"));
    }
    match before.process_difference(after) {
        Some(option) => Err(Error::invalid(format!(
            "change_options: {option} is an option of the process and is not stored"
        ))),
        None => Ok(()),
    }
}
