//! The open store of a command, its actor, and the user of the operating system.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use gatepost::audit::HostEvent;
use gatepost::host::{Keyring, Keys};
use gatepost::{Actor, ClientInfo, Options, Store};

use crate::arguments::{Global, Protection};
use crate::failure::{Exit, Failure, Result};
use crate::names;
use crate::output::{Output, note};
use crate::prompt;

/// What a command works with: the store, opened with the options that its file keeps.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) output: Output,
    yes: bool,
}

impl Context {
    /// Opens the file, which must exist.
    pub(crate) fn open(global: &Global) -> Result<Self> {
        let path = &global.file;
        if is_missing(path)? {
            return Err(no_store(path));
        }
        check_owner(global)?;
        Self::of(path, Options::stored(), global)
    }

    /// Opens or creates the file, with these options and what the command line adds to them.
    pub(crate) fn of(path: &Path, options: Options, global: &Global) -> Result<Self> {
        let mut options = allowed(global, options);
        if let Some(keys) = keys(global)? {
            options = options.keyring(Arc::new(keys));
        }
        let store = Store::open(path, options)?;
        let actor = match &global.acting_as {
            Some(name) => Actor::User(names::user(&store, name)?.id),
            None => Actor::Host,
        };
        let output = Output { json: global.json };
        Ok(Self { store: store.acting_as(actor), output, yes: global.yes })
    }

    /// The store, for a write. Records which command is run and by which user of the operating
    /// system, who is no actor of the library: the row of the write itself follows this one.
    ///
    /// On a full disk no row can be written, and a revocation must go on all the same. A file that
    /// is busy would only be waited for twice.
    pub(crate) fn writing(&self, command: &str) -> Result<&Store> {
        let event = HostEvent::new(&format!("command.{command}"))?.client_info(this_process());
        match self.store.audit().record(&[event]) {
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(error) => {
                note(&format!("gatepost: no row of the audit log names this command: {error}"));
            }
            Ok(()) => {}
        }
        Ok(&self.store)
    }

    /// Asks before what cannot be undone, unless `--yes` was given.
    pub(crate) fn confirm(&self, question: &str) -> Result<()> {
        if self.yes { Ok(()) } else { prompt::confirm(question) }
    }
}

/// Another store, opened as [`Context::open`] opens that of the command line.
pub(crate) fn stored_in(path: &Path, global: &Global) -> Result<Context> {
    Context::of(path, Options::stored(), global)
}

/// The stored options of the file, with what the command line adds to them except keys.
pub(crate) fn stored(global: &Global) -> Options {
    allowed(global, Options::stored())
}

/// The options with the protections given up that `--allow` names.
fn allowed(global: &Global, options: Options) -> Options {
    global.allow.iter().fold(options, |options, protection| protection.give_up(options))
}

/// The keyring of the `--key-file`s: the first is the current key.
pub(crate) fn keys(global: &Global) -> Result<Option<Keys>> {
    let mut all: Option<Keys> = None;
    for path in &global.key_file {
        let next = Keys::from_file(path)?;
        let id = next.current();
        if all.as_ref().is_some_and(|newer| newer.key(&id).is_some()) {
            return Err(Failure::new(
                Exit::Invalid,
                format!("two key files have a key with the id {id}, and an id names one key"),
                "Give each --key-file once. Make a new key with an id of its own.",
            ));
        }
        all = Some(match all {
            Some(newer) => newer.with_older(next),
            None => next,
        });
    }
    Ok(all)
}

/// Whether there is no file, or an empty one; a failure if the system does not say.
pub(crate) fn is_missing(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.is_file() && file.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(not_examined(path, &error)),
    }
}

/// The exit codes are those of the same errors in an opening.
fn not_examined(path: &Path, error: &io::Error) -> Failure {
    let is_circle = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    let (exit, advice) = match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            (Exit::Invalid, "Choose another path: the message says what is wrong with this one.")
        }
        _ if is_circle => {
            (Exit::Invalid, "Choose another path, or correct the links of this one.")
        }
        io::ErrorKind::PermissionDenied => {
            (Exit::Unavailable, "Give this user access to the directories of the path.")
        }
        _ => (Exit::Unavailable, "Find out what is wrong with the file system of the path."),
    };
    let what = format!("it cannot be found out what is at {}: {error}", path.display());
    Failure::new(exit, what, advice)
}

fn no_store(path: &Path) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("there is no store at {}", path.display()),
        "Name it with --file, or create it with: gatepost init --preset server",
    )
}

/// Refuses to open the file of another user. What this process left beside the file, its owner
/// could not open.
pub(crate) fn check_owner(global: &Global) -> Result<()> {
    let Ok(file) = fs::metadata(&global.file) else { return Ok(()) };
    let own = rustix::process::geteuid().as_raw();
    if file.uid() == own || global.allow.contains(&Protection::ForeignOwner) {
        return Ok(());
    }
    let owner = file.uid();
    Err(Failure::new(
        Exit::Refused,
        format!(
            "the file belongs to the user with the id {owner}, and this command runs as {own}"
        ),
        format!(
            "Run it as the owner: sudo -u '#{owner}' gatepost …; or give --allow foreign-owner: \
             files that it makes beside the store may then be closed to the owner."
        ),
    ))
}

fn this_process() -> ClientInfo {
    let uid = rustix::process::getuid().as_raw();
    let version = env!("CARGO_PKG_VERSION");
    ClientInfo::new().user_agent(format!("gatepost {version}, user id {uid}"))
}
