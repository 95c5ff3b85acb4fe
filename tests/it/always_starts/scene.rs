//! A store with a person logged in, whose files a state then meddles with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use gatepost::directory::OrganisationFilter;
use gatepost::sessions::OpenSession;
use gatepost::status::OpenWarning;
use gatepost::{Error, NewUser, Options, Page, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::child::{Child, Parent};
use crate::world::{device, for_tests};

/// Why a state cannot be set up on this machine.
pub(super) type Skip = &'static str;

/// A user without rights of its own.
const STRANGER: u32 = 65_534;
/// The organisations that every scene begins with.
const NAMES: [&str; 3] = ["Northern", "Southern", "Western"];

/// A directory with a closed store in it.
pub(super) struct Scene {
    /// The path that is opened.
    pub(super) path: PathBuf,
    pub(super) directory: PathBuf,
    /// The organisations that were acknowledged.
    names: Vec<String>,
    /// The command that opens it; `None` for this process.
    opener: Option<Command>,
    is_strangers: bool,
    /// Processes that stay alive beside it.
    others: Vec<Child>,
    /// The file with its answer; `None` if it answers on its output.
    pub(super) said_in: Option<PathBuf>,
    /// Commands that undo what keeps the directory from being removed.
    undo: Vec<Command>,
    _outer: TempDir,
}

/// The file of a store, closed, and the token of the session in it.
fn template() -> &'static (Vec<u8>, String) {
    static TEMPLATE: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = Store::open(&path, for_tests()).unwrap();
        for name in NAMES {
            store.organisations().create(name).unwrap();
        }
        let ada = store.users().create(NewUser::person("ada")).unwrap();
        let request = OpenSession::new(ada.id, device("till-1"));
        let session = store.sessions().open(request).unwrap().granted().unwrap().session;
        store.close().unwrap();
        (fs::read(path).unwrap(), session.token.expose().to_owned())
    })
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(&template().0)
    }

    /// A store that has nothing to do with the others.
    pub(super) fn of_another() -> Self {
        let scene = Self::with(&[]);
        Store::open(&scene.path, for_tests()).unwrap().close().unwrap();
        scene
    }

    fn with(bytes: &[u8]) -> Self {
        let outer = tempfile::tempdir().unwrap();
        // Other users may read it, as in the directory of a service.
        set_mode(outer.path(), 0o755);
        let directory = outer.path().join("store");
        fs::create_dir(&directory).unwrap();
        let path = directory.join("auth.db");
        fs::write(&path, bytes).unwrap();
        set_mode(&path, 0o600);
        Self {
            path,
            directory,
            names: NAMES.map(String::from).to_vec(),
            opener: None,
            is_strangers: false,
            others: Vec::new(),
            said_in: None,
            undo: Vec::new(),
            _outer: outer,
        }
    }

    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// Puts these bytes in the place of the file.
    pub(super) fn holds(&self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.path, bytes).unwrap();
    }

    /// Puts these bytes beside it.
    pub(super) fn lays(&self, suffix: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.beside(suffix), bytes).unwrap();
        set_mode(self.beside(suffix), 0o600);
    }

    /// Takes the file away.
    pub(super) fn empties(&self) {
        fs::remove_file(&self.path).unwrap();
    }

    /// Runs plain SQL on the file, and closes it.
    pub(super) fn script(&self, script: &str) {
        Connection::open(&self.path).unwrap().execute_batch(script).unwrap();
        set_mode(&self.path, 0o600);
    }

    /// A process of plain SQL that has run this.
    pub(super) fn plain(&self, script: &str) -> Child {
        let mut child = Child::start("plain SQL", &[self.path.to_str().unwrap()]);
        child.say(script);
        assert_eq!(child.hear(), "done");
        child
    }

    /// A process with a store that has done its writes and is still alive.
    pub(super) fn writer(&mut self) -> Child {
        let mut child = Child::start("write", &[self.path.to_str().unwrap()]);
        for name in ["Eastern", "Midland"] {
            child.say(name);
            child.hear();
            self.names.push(name.to_owned());
        }
        child
    }

    /// Leaves a log with acknowledged writes that were never checkpointed.
    pub(super) fn killed(&mut self) {
        let child = self.writer();
        child.kill();
        assert!(fs::metadata(self.beside("-wal")).unwrap().len() > 8_192);
    }

    /// A backup of the store.
    pub(super) fn backup(&self) -> PathBuf {
        let backup = self.directory.join("backup.db");
        let store = Store::open(&self.path, for_tests()).unwrap();
        store.backup(&backup, |_| ()).unwrap();
        store.close().unwrap();
        backup
    }

    /// Puts a backup of the store in its place.
    pub(super) fn becomes_backup(&self) {
        fs::rename(self.backup(), &self.path).unwrap();
    }

    /// Keeps a process alive until the scene is over.
    pub(super) fn stays(&mut self, child: Child) {
        self.others.push(child);
    }

    pub(super) fn finally(&mut self, program: &str, words: &[&str]) {
        let mut command = Command::new(program);
        command.args(words);
        self.undo.push(command);
    }

    /// The process that opens the store and says how that went.
    fn child(&self) -> Command {
        let mut words = vec![self.path.to_str().unwrap(), "", &template().1];
        let names = self.names.join(",");
        words[1] = &names;
        words.extend(self.said_in.as_ref().map(|file| file.to_str().unwrap()));
        Child::command("open in a state", &words)
    }

    /// It is opened by a process that first runs this shell script.
    pub(super) fn opened_after(&mut self, shell: &str) {
        let child = self.child();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}\nexec \"$@\""), "sh"]);
        command.arg(child.get_program()).args(child.get_args());
        self.opener = Some(command);
    }

    /// As [`Scene::opened_after`], in a name space of mounts of its own.
    pub(super) fn opened_in_mounts(&mut self, shell: &str) -> Result<(), Skip> {
        let own = |then: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(["--mount"]).args(then);
            command
        };
        let probe = "mount --bind \"$0\" \"$0\"";
        let directory = self.directory.to_str().unwrap().to_owned();
        if !succeeds(&mut own(&["sh", "-c", probe, &directory])) {
            return Err("this user may not mount here");
        }
        self.opened_after(&format!("set -e\ncd {directory}\n{shell}"));
        let inner = self.opener.take().unwrap();
        let mut outer = own(&[inner.get_program().to_str().unwrap()]);
        outer.args(inner.get_args());
        self.opener = Some(outer);
        Ok(())
    }

    /// It belongs to a user whom permissions stop, and that user opens it.
    pub(super) fn opened_by_a_stranger(&mut self) -> Result<(), Skip> {
        if rustix::process::geteuid().is_root() {
            let command = self.child();
            let mut probe = Command::new(command.get_program());
            if !succeeds(as_stranger(probe.arg("--list"))) {
                return Err("another user cannot run this binary");
            }
            self.opener = Some(command);
            self.is_strangers = true;
            for entry in fs::read_dir(&self.directory).unwrap() {
                give_away(&entry.unwrap().path());
            }
            give_away(&self.directory);
        }
        Ok(())
    }

    /// Opens it, and says how that went.
    pub(super) fn said(mut self) -> String {
        let said = match self.opener.take() {
            None => look(&self.path, &self.names, &template().1),
            Some(mut command) => {
                if self.is_strangers {
                    as_stranger(&mut command);
                }
                let mut child = Child::started(&mut command);
                let heard = child.hear_if_any().or_else(|| {
                    child.wait();
                    fs::read_to_string(self.said_in.as_ref()?).ok()
                });
                heard.unwrap_or_else(|| format!("says nothing: {}", child.complaint()))
            }
        };
        for mut command in self.undo.drain(..) {
            assert!(succeeds(&mut command));
        }
        said
    }
}

/// Opens the store and says how that went: to its parent or, if it is given a file, there.
pub(crate) fn open(parent: &mut Parent, words: &[String]) {
    let [path, names, token, rest @ ..] = words else { panic!("path, names and token") };
    let names: Vec<String> = names.split(',').map(String::from).collect();
    let said = look(Path::new(path), &names, token);
    match rest {
        [file] => fs::write(file, said).unwrap(),
        _ => parent.say(&said),
    }
}

/// With the cache in both runs of the suite: it needs more of the surroundings, so that more of
/// what is wrong with them shows at the opening.
fn remembering() -> Options {
    for_tests().cache(1_024)
}

fn look(path: &Path, names: &[String], token: &str) -> String {
    let mut names = names.to_vec();
    names.sort();
    let before = content(path);
    let store = match Store::open(path, remembering()) {
        Ok(store) => store,
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty() && !said.contains(['\n', '/']), "{said}");
            let mut report = format!("{:?}: {}", error.kind(), error.advice());
            if content(path) != before {
                report += &format!(" But {:?} is {:?} now.", before.keys(), content(path).keys());
            }
            return report;
        }
    };
    let mut notes = store.status().open_warnings;
    // Every state is laid down as a copy.
    notes.retain(|note| *note != OpenWarning::PerhapsRestored);
    let found = match whole(&store, token) {
        Ok((true, found)) if found == names => String::from("with all of it"),
        Ok((false, found)) if found.is_empty() => String::from("empty"),
        Ok((live, found)) => format!("with {found:?}, session {live}"),
        Err(error) => format!("but {error:?}"),
    };
    let lived = || {
        store.organisations().create("afterwards")?;
        store.close()?;
        // A write after the start is there at the next start.
        let again = Store::open(path, remembering())?;
        let (_, kept) = whole(&again, token)?;
        again.close().map(|()| kept.iter().any(|name| name == "afterwards"))
    };
    match lived() {
        Ok(true) => format!("opens {notes:?}, {found}"),
        Ok(false) => format!("opens {notes:?}, {found}, and forgets"),
        Err(error) => format!("opens {notes:?}, {found}, and then {error:?}"),
    }
}

/// Whether the session of before verifies, and which organisations are there.
fn whole(store: &Store, token: &str) -> Result<(bool, Vec<String>), Error> {
    assert!(store.audit().verify_chain(None)?.is_intact());
    let live = store.verify((token, &device("till-1")))?.valid().is_ok();
    let listed = store.organisations().list(&OrganisationFilter::new(), Page::default())?;
    let mut names: Vec<_> = listed.into_iter().map(|organisation| organisation.name).collect();
    names.sort();
    Ok((live, names))
}

/// Names, sizes, times and bytes of the file and the files beside it. The shared memory of a log is
/// left out, as the opening takes locks in it, and so are empty files.
fn content(path: &Path) -> BTreeMap<OsString, (u64, u32, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let directory = path.parent().unwrap();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let Ok(seen) = fs::symlink_metadata(entry.path()) else { continue };
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with("-shm") || (seen.is_file() && seen.len() == 0) {
            continue;
        }
        let bytes = if seen.is_file() { fs::read(entry.path()) } else { Ok(Vec::new()) };
        let seen = (seen.len(), seen.mode(), seen.mtime_nsec(), bytes.unwrap_or_default());
        all.insert(name, seen);
    }
    all
}

pub(super) fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn as_stranger(command: &mut Command) -> &mut Command {
    command.uid(STRANGER).gid(STRANGER).current_dir("/")
}

fn give_away(path: &Path) {
    lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
}
