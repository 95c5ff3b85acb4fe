//! A private file for each token.
//!
//! # Atomicity
//!
//! A save writes a new file, flushes it, renames it over the old one and flushes the folder. Each
//! save has a new file of its own. What a kill left of one is deleted by the next save or deletion;
//! if that was the file of a save in another process, its rename fails and it starts again.
//!
//! # Privacy
//!
//! A file is written with mode 0600. A load checks the opened file and not its path. The folder may
//! be readable by others, since the names in it are not secret, but not writable.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{SavedToken, TokenVault, VaultError, VaultKind, failed};
use crate::folder::sync;

/// Longer than any token of Gatepost.
const TOKEN_MAX_BYTES: usize = 4096;
/// How often a save starts again because another process deleted its new file.
const ATTEMPTS_MAX: u32 = 16;
/// Between the name of a file and the number of a save: `path` writes it into no name.
const UNFINISHED: &str = "~";

/// Keeps tokens in files that only their owner can read (mode 0600).
///
/// A program chooses this vault; no other vault falls back to it. Any process of the same user can
/// read the files, and so can a backup of the folder. Prefer the Secret Service where there is one.
///
/// ```
/// use std::os::unix::fs::PermissionsExt;
///
/// use gatepost_desk::{FileVault, SavedToken, TokenVault, VaultError};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let vault = FileVault::in_folder(folder);
/// vault.save("com.example.till", &SavedToken::new("gps_token".into()))?;
/// assert_eq!(vault.load("com.example.till")?.unwrap().expose(), "gps_token");
///
/// let file = std::fs::read_dir(folder)?.next().unwrap()?.path();
/// std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640))?;
/// let refused = vault.load("com.example.till");
/// assert!(matches!(refused, Err(VaultError::NotPrivate(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileVault {
    folder: PathBuf,
    /// Flushes a folder; a test lets it fail.
    flush: fn(&Path) -> io::Result<()>,
}

impl FileVault {
    /// A vault whose files are in `folder`. The first save creates the folder, with mode 0700, if
    /// it does not exist.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), flush: sync }
    }

    /// The file of that name. A byte that is not plain in a file name is written as `%2F`.
    fn path(&self, name: &str) -> PathBuf {
        let mut file = String::from("token-");
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    file.push(char::from(byte));
                }
                _ => file.push_str(&format!("%{byte:02X}")),
            }
        }
        self.folder.join(file)
    }

    /// Fails if another user could replace a file of this folder.
    fn check_folder(&self) -> Result<(), VaultError> {
        let folder = fs::metadata(&self.folder).map_err(failed)?;
        check(
            &folder,
            0o022,
            "the folder of the saved token belongs to another user, or others may write to it",
        )
    }

    /// Flushes the folder after the token was saved or deleted, which a failure does not undo.
    fn flush_folder(&self) -> Result<(), VaultError> {
        (self.flush)(&self.folder).map_err(|_| VaultError::NoAnswer)
    }
}

impl TokenVault for FileVault {
    fn kind(&self) -> VaultKind {
        VaultKind::File
    }

    /// A file that holds no token at all is reported as an empty token, which no store accepts: the
    /// program asks for the password instead of failing at each start.
    fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError> {
        let mut options = OpenOptions::new();
        // Not through a symbolic link, and without waiting for the writer of a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = match options.open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(VaultError::NotPrivate("the file of the saved token is a link"));
            }
            Err(error) => return Err(failed(error)),
        };
        self.check_folder()?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(VaultError::NotPrivate("the file of the saved token is no regular file"));
        }
        check(
            &found,
            0o077,
            "the file of the saved token belongs to another user, or others may use it",
        )?;
        read(file).map(Some)
    }

    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        self.check_folder()?;
        let path = self.path(name);
        for _ in 0..ATTEMPTS_MAX {
            delete_unfinished(&path).map_err(failed)?;
            match write(&path, token.expose()) {
                Ok(()) => return self.flush_folder(),
                // Another save or deletion removed the new file, or has one of that name.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(VaultError::NoAnswer)
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        let path = self.path(name);
        match delete_unfinished(&path) {
            // There is no folder yet.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            deleted => deleted.map_err(failed)?,
        }
        remove(&path).map_err(failed)?;
        self.flush_folder()
    }
}

/// Whether `me` owns it and its mode has none of the `forbidden` bits.
fn is_private(owner: u32, mode: u32, me: u32, forbidden: u32) -> bool {
    owner == me && mode & forbidden == 0
}

/// Fails with `refusal` if another user owns it, or if its mode has one of the `forbidden` bits.
fn check(found: &Metadata, forbidden: u32, refusal: &'static str) -> Result<(), VaultError> {
    let me = rustix::process::geteuid().as_raw();
    if is_private(found.uid(), found.mode(), me, forbidden) {
        return Ok(());
    }
    Err(VaultError::NotPrivate(refusal))
}

/// The token in that file. The buffer has its size from the start, so no copy is left behind.
fn read(file: File) -> Result<SavedToken, VaultError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(TOKEN_MAX_BYTES + 1));
    file.take(TOKEN_MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = str::from_utf8(&bytes).unwrap_or_default();
    let token = if bytes.len() <= TOKEN_MAX_BYTES { text } else { "" };
    Ok(SavedToken::new(token.to_owned()))
}

/// Writes a new file and renames it to `path`.
fn write(path: &Path, text: &str) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut new = path.as_os_str().to_owned();
    new.push(format!("{UNFINISHED}{}-{number}", process::id()));

    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        // The next save deletes what this one could not.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    Ok(())
}

/// Deletes the new files of saves that a kill interrupted.
fn delete_unfinished(path: &Path) -> io::Result<()> {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(UNFINISHED);
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(prefix.as_bytes()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const NAME: &str = "com.example.till/a1";

    fn vault() -> (tempfile::TempDir, FileVault) {
        let folder = tempfile::tempdir().unwrap();
        let vault = FileVault::in_folder(folder.path().join("till"));
        (folder, vault)
    }

    fn save(vault: &FileVault, text: &str) {
        vault.save(NAME, &SavedToken::new(text.to_owned())).unwrap();
    }

    fn load(vault: &FileVault) -> Option<String> {
        vault.load(NAME).unwrap().map(|token| token.expose().to_owned())
    }

    #[track_caller]
    fn check_refused(vault: &FileVault, says: &str) {
        match vault.load(NAME) {
            Err(VaultError::NotPrivate(why)) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_token_is_kept_until_it_is_deleted_and_names_are_apart() {
        let (_folder, vault) = vault();
        assert_eq!(load(&vault), None);
        vault.delete(NAME).unwrap();
        save(&vault, "one");
        save(&vault, "two");
        vault.save("com.example.till", &SavedToken::new("other".into())).unwrap();
        assert_eq!(load(&vault).as_deref(), Some("two"));
        vault.delete(NAME).unwrap();
        vault.delete(NAME).unwrap();
        assert_eq!(load(&vault), None);
        assert_eq!(vault.load("com.example.till").unwrap().unwrap().expose(), "other");
    }

    #[test]
    fn the_folder_and_the_file_are_private_from_the_start() {
        let (_folder, vault) = vault();
        save(&vault, "one");
        assert_eq!(fs::metadata(&vault.folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(vault.path(NAME)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let (_folder, vault) = vault();
        for name in ["../x", "/etc/x", "..", ".", "", "a/b", "a~1-2", "\0", "ä"] {
            let path = vault.path(name);
            assert_eq!(path.parent(), Some(vault.folder.as_path()), "{name}");
            assert!(!path.as_os_str().as_bytes().contains(&b'~'), "{name}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let (_folder, vault) = vault();
        save(&vault, "one");
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
            set_mode(&vault.path(NAME), mode);
            check_refused(&vault, "others may use it");
        }
        set_mode(&vault.path(NAME), 0o600);
        assert_eq!(load(&vault).as_deref(), Some("one"));
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let (_folder, vault) = vault();
        save(&vault, "one");
        for mode in [0o720, 0o702] {
            set_mode(&vault.folder, mode);
            check_refused(&vault, "others may write to it");
            let saved = vault.save(NAME, &SavedToken::new("two".into()));
            assert!(matches!(saved, Err(VaultError::NotPrivate(_))));
        }
        set_mode(&vault.folder, 0o755);
        assert_eq!(load(&vault).as_deref(), Some("one"));
    }

    #[test]
    fn a_folder_that_cannot_be_looked_into_is_an_error_and_no_absent_token() {
        let (folder, mut vault) = vault();
        fs::write(folder.path().join("file"), "").unwrap();
        vault.folder = folder.path().join("file/till");
        let saved = vault.save(NAME, &SavedToken::new("one".into()));
        for answer in [vault.load(NAME).map(drop), saved, vault.delete(NAME)] {
            assert!(matches!(answer, Err(VaultError::Failed(_))), "{answer:?}");
        }
    }

    #[test]
    fn what_another_user_owns_is_not_private() {
        assert!(is_private(1000, 0o100_600, 1000, 0o077));
        assert!(!is_private(1001, 0o100_600, 1000, 0o077));
        assert!(!is_private(0, 0o100_600, 1000, 0o077));
    }

    #[test]
    fn a_link_a_folder_and_a_pipe_are_refused() {
        let (folder, vault) = vault();
        save(&vault, "one");
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(vault.path(NAME), &elsewhere).unwrap();
        symlink(&elsewhere, vault.path(NAME)).unwrap();
        check_refused(&vault, "is a link");

        fs::remove_file(vault.path(NAME)).unwrap();
        fs::create_dir(vault.path(NAME)).unwrap();
        check_refused(&vault, "no regular file");

        fs::remove_dir(vault.path(NAME)).unwrap();
        let made = process::Command::new("mkfifo").arg(vault.path(NAME)).status().unwrap();
        assert!(made.success());
        check_refused(&vault, "no regular file");
    }

    #[test]
    fn what_is_no_token_is_an_empty_token() {
        let (_folder, vault) = vault();
        save(&vault, "one");
        for bytes in [vec![], vec![0xff; 8], vec![b'a'; TOKEN_MAX_BYTES + 1]] {
            fs::write(vault.path(NAME), bytes).unwrap();
            assert_eq!(load(&vault).as_deref(), Some(""));
        }
        fs::write(vault.path(NAME), vec![b'a'; TOKEN_MAX_BYTES]).unwrap();
        assert_eq!(load(&vault).map(|token| token.len()), Some(TOKEN_MAX_BYTES));
    }

    #[test]
    fn what_a_kill_left_of_a_save_is_deleted_by_the_next_save_or_deletion() {
        let (_folder, vault) = vault();
        save(&vault, "one");
        let mut left = vault.path(NAME).into_os_string();
        left.push("~1-0");
        fs::write(&left, "half").unwrap();
        save(&vault, "two");
        assert!(!Path::new(&left).exists());
        fs::write(&left, "half").unwrap();
        vault.delete(NAME).unwrap();
        assert_eq!(fs::read_dir(&vault.folder).unwrap().count(), 0);
    }

    #[test]
    fn a_save_that_fails_leaves_the_token_before_it() {
        let (_folder, vault) = vault();
        save(&vault, "one");
        // A folder in the way of the rename.
        let path = vault.path(NAME);
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("full")).unwrap();
        let saved = vault.save(NAME, &SavedToken::new("two".into()));
        assert!(matches!(saved, Err(VaultError::Failed(_))));
        assert_eq!(fs::read_dir(&vault.folder).unwrap().count(), 1, "the new file is deleted");
    }

    /// Once the token before it was said to be still there.
    #[test]
    fn whether_a_token_is_saved_or_deleted_is_open_if_the_folder_cannot_be_flushed() {
        let (_folder, mut vault) = vault();
        save(&vault, "one");
        vault.flush = |_| Err(ErrorKind::StorageFull.into());
        let saved = vault.save(NAME, &SavedToken::new("two".into()));
        assert!(matches!(saved, Err(VaultError::NoAnswer)), "{saved:?}");
        assert_eq!(load(&vault).as_deref(), Some("two"));
        let deleted = vault.delete(NAME);
        assert!(matches!(deleted, Err(VaultError::NoAnswer)), "{deleted:?}");
        assert_eq!(load(&vault), None);
    }

    #[test]
    fn saves_at_once_leave_one_whole_token() {
        let (_folder, vault) = vault();
        let vault = &vault;
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let token = char::from(b'a' + thread).to_string().repeat(2000);
                scope.spawn(move || {
                    for _ in 0..50 {
                        match vault.save(NAME, &SavedToken::new(token.clone())) {
                            Ok(()) | Err(VaultError::NoAnswer) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                        let loaded = load(vault).unwrap();
                        let first = loaded.chars().next().unwrap();
                        assert_eq!(loaded, first.to_string().repeat(2000));
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(&vault.folder).unwrap().count(), 1);
    }
}
