//! A limit on how large the files of a process may become (`ulimit -f`, `RLIMIT_FSIZE`).
//!
//! A process that ignores the signal of the system (`SIGXFSZ`) gets the errors of a full disk;
//! one that does not is ended by it, which no library can keep from it. The limit is set by a
//! shell, as an operator would.

use std::path::{Path, PathBuf};
use std::process::Command;

use gatepost::sessions::OpenSession;
use gatepost::{Error, ErrorKind, NewUser, Store};

use crate::child::{Child, Parent};
use crate::world::{device, for_tests};

/// The users with a session; the last one is never logged out.
const NAMES: [&str; 3] = ["ada", "ben", "cay"];

/// The errors that a write may return: none that says that the request was wrong.
const ERRORS: [ErrorKind; 3] = [ErrorKind::Full, ErrorKind::Io, ErrorKind::CommitUnknown];

/// 128 plus the number of `SIGXFSZ`: what a shell says of a process that it ended.
const ENDED: &str = "ended 153";

/// Opens the store and writes until an error says that nothing more fits; then a user logs out.
/// Everything that was acknowledged is said at once.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let path = Path::new(&words[0]);
    let options = for_tests();
    let Ok(store) = Store::open(path, options.clone()) else { return parent.say("no room") };
    let tokens: Result<Vec<String>, Error> =
        NAMES.iter().map(|name| token(&store, name)).collect();
    let Ok(tokens) = tokens else { return parent.say("no room") };
    parent.say(&tokens.join(" "));
    for number in 0.. {
        let name = format!("{number} {}", "x".repeat(200));
        match store.organisations().create(&name) {
            Ok(_) => parent.say("created"),
            Err(error) => {
                assert!(ERRORS.contains(&error.kind()), "{error:?}");
                break;
            }
        }
    }
    parent.say("full");
    for (name, token) in NAMES.iter().zip(&tokens).take(2) {
        match store.log_out((token, &device(name))) {
            Ok(_) => parent.say(name),
            Err(error) => assert!(ERRORS.contains(&error.kind()), "{error:?}"),
        }
        assert!(!is_live(&store, name, token), "refused from memory if it is not in the file");
    }
    assert!(is_live(&store, "cay", &tokens[2]), "it ends unknown by itself");
    if let Err(error) = Store::open(path, options) {
        assert!(ERRORS.contains(&error.kind()), "{error:?}");
    }
    parent.say("refused");
}

fn token(store: &Store, name: &str) -> Result<String, Error> {
    let user = store.users().create(NewUser::person(name))?.id;
    let reply = store.sessions().open(OpenSession::new(user, device(name)))?;
    Ok(reply.granted().unwrap().session.token.expose().to_owned())
}

fn is_live(store: &Store, name: &str, token: &str) -> bool {
    store.verify((token, &device(name))).unwrap().valid().is_ok()
}

/// What a process said that ran under a limit of so many blocks, and how it ended.
struct Limited {
    _directory: tempfile::TempDir,
    path: PathBuf,
    said: Vec<String>,
}

impl Limited {
    fn run(blocks: u32, before: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let role = Child::command("limited", &[path.to_str().unwrap()]);
        let script =
            format!("{before} ulimit -c 0; ulimit -f {blocks}; \"$@\"; echo \"@ ended $?\"");
        let mut limited = Command::new("sh");
        limited.args(["-c", &script, "sh"]).arg(role.get_program()).args(role.get_args());
        let mut child = Child::started(&mut limited);
        let said = std::iter::from_fn(|| child.hear_if_any()).collect();
        child.wait();
        Self { _directory: directory, path, said }
    }

    /// Without a limit everything is there that was acknowledged, and the store goes on.
    fn is_whole(&self) {
        let store = Store::open(&self.path, for_tests()).unwrap();
        let created = self.said.iter().filter(|line| *line == "created").count().cast_signed();
        let sql = rusqlite::Connection::open(&self.path).unwrap();
        let found: isize =
            sql.query_row("SELECT count(*) FROM organisation", [], |row| row.get(0)).unwrap();
        drop(sql);
        // One whose answer was lost may be there as well.
        assert!((created..=created + 1).contains(&found), "{found} of {created}");
        let tokens: Vec<&str> = self.said[0].split(' ').collect();
        for (name, token) in NAMES.into_iter().zip(tokens) {
            let is_out = self.said.iter().any(|line| line == name);
            assert!(!is_out || !is_live(&store, name, token), "{name} was logged out");
            assert!(name != "cay" || is_live(&store, name, token), "{name} was not");
        }
        assert!(store.audit().verify_chain(None).unwrap().is_intact());
        store.organisations().create("Northern").unwrap();
        store.close().unwrap();
    }
}

#[test]
fn at_a_limit_of_file_size_a_write_is_an_error_and_a_logout_holds_or_is_refused_from_memory() {
    let mut played = 0;
    for blocks in [128, 500, 900, 1_500, 4_000, 9_000] {
        let limited = Limited::run(blocks, "trap '' XFSZ;");
        assert_eq!(limited.said.last().unwrap(), "ended 0", "{blocks} blocks: {:?}", limited.said);
        if limited.said[0] != "no room" {
            assert!(limited.said.iter().any(|line| line == "refused"));
            limited.is_whole();
            played += 1;
        }
    }
    assert!(played >= 3, "{played}");
}

/// As the manual says. Earlier acknowledged writes are there.
#[test]
fn a_process_that_does_not_ignore_the_signal_is_ended_by_it_and_loses_nothing() {
    let limited = Limited::run(1_500, "");
    assert_eq!(limited.said.last().unwrap(), ENDED, "{:?}", limited.said);
    assert!(limited.said.iter().all(|line| line != "full"));
    limited.is_whole();
}
