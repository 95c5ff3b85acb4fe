//! The private folder of a program: the store's file, this machine's device id, and the lock by
//! which the instances of the program take turns.
//!
//! **Locking.** A [`Turn`] is an advisory lock of the operating system on the file `lock`, which is
//! never deleted. It ends with its process, so no crash leaves it behind. Whatever changes which
//! token is saved has the turn from its first read to its last write: the last token saved is then
//! that of the last session opened. The store's own file is never locked by this crate.

mod private;

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatepost::DeviceId;

use crate::error::{DeskError, Result};
use crate::place::Platform;
pub(crate) use private::sync;

const DEVICE: &str = "device";
const DEVICE_NEW: &str = "device.new";
const LOCK: &str = "lock";
const STORE: &str = "auth.db";
/// As long as a write of the store waits.
const TURN_WAIT: Duration = Duration::from_secs(5);
const TURN_STEP: Duration = Duration::from_millis(10);
/// Hexadecimal digits of an id that was drawn.
const ID_DIGITS: usize = 32;
/// More than the two lines that the file `device` has.
const DEVICE_FILE_MAX: u64 = 100;

/// The private folder of a program, for one account of the operating system.
///
/// A [`Desk`](crate::Desk) finds it by itself. A program asks for it to put a file of its own
/// there, such as its settings. A key file there is in every copy of the folder, beside the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Finds the folder of the program `app` by the rules of this platform
    /// ([`Platform::data_folder`]), and makes it if it is not there.
    ///
    /// # Errors
    /// As of [`Platform::data_folder`] and [`at`](Self::at).
    pub fn of(app: &str) -> Result<Self> {
        Self::at(Platform::here().data_folder(app, private::variable)?)
    }

    /// Takes another folder, and makes it if it is not there. It must be for this program alone:
    /// the permissions of other accounts are removed from it (mode 0700).
    ///
    /// ```
    /// use gatepost_desk::Folder;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let folder = Folder::at(directory.path().join("till"))?;
    /// assert!(folder.path().is_dir());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Folder`](DeskError::Folder) if it cannot be made, is no folder, or belongs to another
    /// account.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        private::make(&path)?;
        Ok(Self(path))
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join(STORE)
    }

    /// Waits up to 5 s for the turn.
    ///
    /// # Errors
    /// `Busy` if other instances keep it for longer.
    pub(crate) fn turn(&self) -> Result<Turn> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(turn) = self.turn_now()? {
                return Ok(turn);
            }
            if waited >= TURN_WAIT {
                return Err(DeskError::Busy);
            }
            private::wait(TURN_STEP);
            waited += TURN_STEP;
        }
    }

    /// The turn; `None` if another instance or thread has it.
    pub(crate) fn turn_now(&self) -> Result<Option<Turn>> {
        let path = self.0.join(LOCK);
        let failed = |error| DeskError::io(&path, "the file cannot be locked", error);
        // Not truncated: nothing is ever in it.
        let mut options = private::options();
        let file = options.create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        private::check_file(&path, &file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Turn(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// This machine's ids, drawn at the first start. The turn makes two first starts draw once.
    pub(crate) fn machine(&self, _turn: &Turn) -> Result<Machine> {
        let path = self.0.join(DEVICE);
        if let Some(text) = read(&path)? {
            return Machine::parse(&text).ok_or_else(|| {
                let problem = "the file is damaged: if it is deleted, users sign in again";
                DeskError::folder(&path, problem)
            });
        }
        let machine = Machine { device: DeviceId::random()?, place: DeviceId::random()? };
        self.write(&path, &machine.to_text())
            .map_err(|error| DeskError::io(&path, "the file cannot be written", error))?;
        Ok(machine)
    }

    /// Writes the file whole or not at all, so that it survives a power loss.
    fn write(&self, path: &Path, text: &str) -> std::io::Result<()> {
        let new = self.0.join(DEVICE_NEW);
        // A crash left it, or another account while it could write to the folder.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private::options().write(true).create_new(true).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        sync(&self.0)
    }
}

fn read(path: &Path) -> Result<Option<String>> {
    let failed = |error| DeskError::io(path, "the file cannot be read", error);
    let file = match private::options().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    private::check_file(path, &file)?;
    let mut text = String::new();
    // A text that is cut off, or none, is no pair of ids: it is damaged.
    match file.take(DEVICE_FILE_MAX).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(error) => Err(failed(error)),
    }
}

/// The right to change which token is saved. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "the lock ends with the file")] File);

/// The ids of this machine and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The device of every session of this folder.
    pub(crate) device: DeviceId,
    /// Part of the name under which the token is saved. A vault that follows a person to another
    /// machine has one token for each, and does not have the device id.
    pub(crate) place: DeviceId,
}

impl Machine {
    fn to_text(&self) -> String {
        format!("{}\n{}\n", self.device.as_str(), self.place.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        let (device, place) = text.strip_suffix('\n')?.split_once('\n')?;
        let is_random = |text: &&str| {
            text.len() == ID_DIGITS && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        };
        let id = |text| Some(text).filter(is_random).and_then(|text| DeviceId::new(text).ok());
        Some(Self { device: id(device)?, place: id(place)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::at(directory.path().join("a/b")).unwrap();
        (directory, folder)
    }

    #[test]
    fn the_ids_are_drawn_once() {
        let (_directory, folder) = folder();
        let turn = folder.turn().unwrap();
        let machine = folder.machine(&turn).unwrap();
        assert_eq!(folder.machine(&turn).unwrap(), machine);
        assert_ne!(machine.device, machine.place);
        assert_eq!(Machine::parse(&machine.to_text()), Some(machine));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let (_directory, folder) = folder();
        let turn = folder.turn().unwrap();
        let good = folder.machine(&turn).unwrap().to_text();
        let mut bad: Vec<String> =
            (0..good.len()).map(|cut| good.split_at(cut).0.to_owned()).collect();
        bad.extend([good.repeat(2), format!("{good}\n"), good.replace('\n', "\r\n")]);
        bad.extend([
            format!("z{}", good.split_at(1).1),
            good.to_uppercase(),
            good.replacen('\n', "a", 1),
        ]);
        for text in &bad {
            std::fs::write(folder.path().join(DEVICE), text).unwrap();
            let error = folder.machine(&turn).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{text:?}: {error}");
            let kept = std::fs::read_to_string(folder.path().join(DEVICE)).unwrap();
            assert_eq!(kept, *text);
        }
    }

    #[test]
    fn one_turn_at_a_time() {
        let (_directory, folder) = folder();
        let turn = folder.turn().unwrap();
        assert!(folder.turn_now().unwrap().is_none());
        drop(turn);
        assert!(folder.turn_now().unwrap().is_some());
    }
}
