//! Back the file up, and record how that ended.

use std::path::Path;

use crate::error::Result;
use crate::record::audit::Written;
use crate::spans;
use crate::storage::{BackupProgress, BackupReport};
use crate::store::Store;
use crate::value::event::{Event, EventKind};

impl Store {
    /// Writes a backup of the whole file to `target`, while the store is in use in any process.
    ///
    /// The backup is one state of the file that was committed: a single file of mode 0600, with a
    /// manifest beside it (`<target>.manifest`) that has the SHA-256 of its bytes. It appears under
    /// its name once it is complete, checked (`PRAGMA integrity_check`, the schema) and flushed; an
    /// existing file is never replaced. Only [`Store::restore`] puts it back: a backup is a store
    /// as it was, with everything that was revoked since.
    ///
    /// Copies 1 MiB a step and calls `progress` after each. Other processes write between two
    /// steps; a commit makes the copy begin again, and after three times it keeps one snapshot,
    /// while the write-ahead log grows. Reads the whole file twice. The audit log records the
    /// backup, or the kind of error by which it failed.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let report = store.backup(directory.path().join("monday.db"), |_| ())?;
    /// assert!(report.path.is_file() && report.manifest.is_file());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No backup is left. Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Taken`](crate::ErrorKind::Taken) if there is a file of that name, a log or journal
    ///   beside it, another program's file in the place of the manifest, or a file that ends in
    ///   `.partial`, which another backup is writing or a killed one left;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the path is none that a store could have, or is
    ///   that of the store;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the copy, and so the file, is damaged;
    /// - [`Misuse`](crate::ErrorKind::Misuse) for a store in memory;
    /// - [`NotFound`](crate::ErrorKind::NotFound),
    ///   [`NoPermission`](crate::ErrorKind::NoPermission), [`Full`](crate::ErrorKind::Full) of the
    ///   directory of the backup.
    #[doc(alias("dump", "export", "snapshot"))]
    pub fn backup(
        &self,
        target: impl AsRef<Path>,
        mut progress: impl FnMut(BackupProgress),
    ) -> Result<BackupReport> {
        spans::span!("backup");
        let written = self.core().storage.backup(target.as_ref(), &mut progress);
        let event = match &written {
            Ok(report) => {
                Event::new(EventKind::StoreBackedUp).count(i64::try_from(report.pages).ok())
            }
            Err(error) => Event::new(EventKind::StoreBackupFailed)
                .refused("failed")
                .detail(format!("{:?}", error.kind())),
        };
        // The backup is there or not, whether the row can be written or not.
        let _ = self.write(|_| Ok(Written::With((), event)));
        written
    }
}
