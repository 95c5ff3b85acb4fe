//! Open a store: create or migrate the file, or share the core that already has it open.

mod claim;

use std::path::Path;
use std::sync::Arc;

pub(crate) use claim::Claim;

use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::record::audit;
use crate::record::{api_key, credential, options, second_factor, session, store, user};
use crate::spans;
use crate::storage::{FileEvent, OpenMark, OpenRequest, OpenWarning, ReadTx, Storage, WriteTx};
use crate::store::{Core, Store};
use crate::value::event::{Event, EventKind};
use crate::value::principal::Credential;
use crate::value::time::Timestamp;

impl Store {
    /// Opens the file at `path`. If there is none, creates it, readable only by its owner (ASVS
    /// 13.2.2).
    ///
    /// - Relative paths and symbolic links are resolved. A second open of the same file in this
    ///   process returns a handle of the first store.
    /// - A commit of this process that is in doubt is resolved first:
    ///   [`Status::last_unknown_commit`](crate::status::Status::last_unknown_commit).
    /// - Nothing is written before the file is known to be Gatepost's. A damaged file is never
    ///   replaced by a new one. A migration first writes a verified backup beside the file.
    ///
    /// Reads and writes the file. Waits up to 5 s for another process, and for another thread of
    /// this process as long as it opens, restores or adopts the same file.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(&path, Options::server())?;
    /// store.users().create(NewUser::person("ada"))?;
    /// store.close()?;
    ///
    /// let store = Store::open(&path, Options::server())?;
    /// assert!(store.users().find_by_username("ada")?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::advice`] says what to do, [`Error::path`] with which file.
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the path or an option is out of its bounds, or
    ///   the file has another value of an option of the file, which [`Store::change_options`]
    ///   changes;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the directory does not exist, or the file with
    ///   [`Options::stored`];
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if the file seals under a key that
    ///   [`Options::keyring`] lacks, except with [`Options::stored`], or whose bytes are others in
    ///   that keyring;
    /// - [`Misuse`](crate::ErrorKind::Misuse) if the file is open in this process with other
    ///   options, where the message names the first one, if a store was open when this process was
    ///   forked, or if a clock or random source calls it while the same thread opens a store;
    /// - [`NotADatabase`](crate::ErrorKind::NotADatabase), [`NotOurs`](crate::ErrorKind::NotOurs),
    ///   [`TooNew`](crate::ErrorKind::TooNew), [`Corrupt`](crate::ErrorKind::Corrupt) if the file
    ///   is not one that this version can use;
    /// - [`SqliteTooOld`](crate::ErrorKind::SqliteTooOld),
    ///   [`ReadOnly`](crate::ErrorKind::ReadOnly),
    ///   [`NoPermission`](crate::ErrorKind::NoPermission), [`Unsafe`](crate::ErrorKind::Unsafe),
    ///   [`Unsupported`](crate::ErrorKind::Unsupported) if the place or the program does not allow
    ///   it;
    /// - [`CommitUnknown`](crate::ErrorKind::CommitUnknown) if a commit of this process still
    ///   cannot be resolved;
    /// - [`Taken`](crate::ErrorKind::Taken) if a migration finds a file with the name of its
    ///   backup;
    /// - [`Busy`](crate::ErrorKind::Busy) if another process uses the file for more than 5 s, or
    ///   replaces it meanwhile, as a restore does;
    /// - [`Full`](crate::ErrorKind::Full), [`Io`](crate::ErrorKind::Io),
    ///   [`OutOfMemory`](crate::ErrorKind::OutOfMemory), [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        spans::span!("open");
        options.check_bounds()?;
        let path = path.as_ref();
        Self::open_file(path, options).map_err(|error| error.at(path))
    }

    fn open_file(path: &Path, options: Options) -> Result<Self> {
        // Before the claim: a child that is forked while another thread opens a store is refused.
        let open_mark = OpenMark::new()?;
        let claim = Claim::on(path)?;
        if let Some(core) = &claim.open {
            core.storage.resolve_doubt()?;
            let (options, _) = core.storage.read(|tx| in_force(tx, options))?;
            check_same(&core.options, &options)?;
            return Ok(Self::of(Arc::clone(core)));
        }
        if options.are_stored() && claim.whereabouts.identity.is_none() {
            return Err(no_file());
        }
        let request = OpenRequest {
            whereabouts: claim.whereabouts.clone(),
            tolerances: options.tolerances,
            for_tests: options.file.for_tests,
            reserve_bytes: options.disk_reserve_bytes,
            clock: options.clock.clone(),
            random: Arc::clone(&options.random),
            open_mark: open_mark.clone(),
        };
        let storage = Storage::open(request, &|tx, event| record(tx, event, &options))?;
        let (options, differing) = storage.read_at_opening(|tx| in_force(tx, options))?;
        let core = Core::new(storage, options, differing, write_use)?;
        claim.share(&core);
        Ok(Self::of(core))
    }

    /// Opens a store without a file, for tests: one connection, gone with its last handle. Needs
    /// the feature `test-util`.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// store.users().create(NewUser::person("ada"))?;
    /// assert!(store.users().find_by_username("ada")?.is_some());
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Invalid`](crate::ErrorKind::Invalid) if an option is out of its bounds.
    /// - [`NotFound`](crate::ErrorKind::NotFound) for [`Options::stored`].
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn in_memory(options: Options) -> Result<Self> {
        options.check_bounds()?;
        let storage = Storage::in_memory(
            options.clock.clone(),
            Arc::clone(&options.random),
            options.file.for_tests,
            &|tx, event| record(tx, event, &options),
        )?;
        Core::new(storage, options, Vec::new(), write_use).map(Self::of)
    }
}

/// Writes the last use of a session or key that waited in memory.
pub(crate) fn write_use(tx: &WriteTx<'_>, used: Credential, at: Timestamp) -> Result<()> {
    match used {
        Credential::Session(id) => session::write_use(tx, id, at),
        Credential::ApiKey(id) => api_key::write_use(tx, id, at),
    }
}

/// The options with which this process opens the file, and the policies of it that differ from the
/// stored ones. An option of the file that differs is refused.
fn in_force(tx: &ReadTx<'_>, options: Options) -> Result<(Options, Vec<OpenWarning>)> {
    let stored = options::stored(tx, &options)?;
    let mut warnings = Vec::new();
    // Only another program can have set the option or the rows: the library refuses both.
    if stored.file.login_by_email && user::emails_are_ambiguous(tx)? {
        warnings.push(OpenWarning::AmbiguousEmails);
    }
    if rekey_is_due(tx, &options)? {
        warnings.push(OpenWarning::RekeyDue);
    }
    check_bytes(tx, &options)?;
    if options.are_stored() {
        return Ok((stored, warnings));
    }
    credential::check_key(tx, &options)?;
    if let Some(option) = stored.file.differences(&options.file).first() {
        return Err(Error::invalid(format!("{option} has another value in the file")).advising(
            "Open with the file's own value or with Options::stored(); Store::change_options \
             changes it.",
        ));
    }
    let differing = stored.policy_differences(&options);
    warnings.extend(differing.into_iter().map(OpenWarning::OptionDiffers));
    Ok((options, warnings))
}

/// Whether the file seals under another key than the current one of the keyring.
fn rekey_is_due(tx: &ReadTx<'_>, options: &Options) -> Result<bool> {
    let stored = store::sealing_key(tx)?;
    let current = options.keyring.as_ref().map(|keyring| keyring.current());
    Ok(stored.is_some() && current.is_some() && stored != current)
}

/// Refuses a keyring whose key has the id of the file's key and other bytes: it would seal what no
/// other process opens. If all hashes and secrets that are tried were changed, the right key looks
/// like that too. A keyring that lacks the id is not this function's to refuse.
fn check_bytes(tx: &ReadTx<'_>, options: &Options) -> Result<()> {
    let Some(id) = store::sealing_key(tx)? else { return Ok(()) };
    if !credential::has_key(options, id.as_str()) {
        return Ok(());
    }
    let tried =
        [credential::opens_one(tx, options, &id)?, second_factor::opens_one(tx, options, &id)?];
    if !tried.contains(&Some(false)) || tried.contains(&Some(true)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::KeyMissing,
        format!(
            "the key {id} of the keyring of this process (Options::keyring) has other bytes than \
             that of the file: it opens no secret that is sealed under {id}"
        ),
    )
    .advising(
        "Give this program the key with which the file was sealed. If it is lost, make a key with \
         another id; the page on keys of the manual says how to go on.",
    ))
}

/// Refuses a second open in one process whose options would not be in force.
fn check_same(open: &Options, second: &Options) -> Result<()> {
    let policy = open.policy_differences(second).first().copied();
    let other_check = (open.breaches != second.breaches).then_some("breach_check");
    match policy.or(other_check).or_else(|| open.process_difference(second)) {
        Some(option) => Err(Error::misuse(format!(
            "the file is open in this process with another value of {option}"
        ))),
        None => Ok(()),
    }
}

fn no_file() -> Error {
    Error::not_found("there is no file whose stored options could be used")
        .advising("Check the path: Options::stored() opens an existing file and creates none.")
}

/// Records the creation or migration of the file, in the transaction that makes it. A new file
/// stores the options of its creator.
fn record(tx: &WriteTx<'_>, event: FileEvent, options: &Options) -> Result<()> {
    let event = match event {
        FileEvent::Created if options.are_stored() => return Err(no_file()),
        FileEvent::Created => {
            options::keep(tx, options)?;
            Event::new(EventKind::StoreCreated)
        }
        FileEvent::Migrated { from, to } => {
            Event::new(EventKind::StoreMigrated).detail(format!("version {from} to {to}"))
        }
    };
    audit::append(tx, &event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::session_open::OpenSession;
    use crate::record::audit::AuditFilter;
    use crate::record::user::NewUser;
    use crate::storage::Finished;
    use crate::value::event::Actor;
    use crate::value::id::Page;
    use crate::value::name::DeviceId;

    #[test]
    fn a_migration_is_a_row_of_the_log_that_names_both_versions() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let event = FileEvent::Migrated { from: 1, to: 3 };
        store.transact(|tx| record(tx, event, store.options()).map(Finished::Commit)).unwrap();
        let log = store.audit().list(&AuditFilter::new(), Page::first(9)).unwrap();
        let found: Vec<_> = log.iter().map(|row| (row.event.as_str(), row.actor)).collect();
        let expected = [("store.created", Actor::Host), ("store.migrated", Actor::Host)];
        assert_eq!(found, expected);
        assert_eq!(log[1].detail.as_deref(), Some("version 1 to 3"));
        assert!(store.audit().verify_chain(None).unwrap().is_intact());
    }

    /// A verify that began before the store was closed.
    #[test]
    fn a_verify_whose_change_signal_is_closed_gives_no_answer_from_the_cache() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("auth.db"), Options::for_tests()).unwrap();
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        let till = DeviceId::new("till").unwrap();
        let open = OpenSession::new(ada, till.clone());
        let session = store.sessions().open(open).unwrap().granted().unwrap().session;
        assert!(store.verify((&session.token, &till)).unwrap().valid().is_ok());
        store.core().coherence.as_ref().unwrap().close().unwrap();
        let refused = store.verify((&session.token, &till)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
    }
}
