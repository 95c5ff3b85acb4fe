//! Other processes: this same binary, started again in a role.
//!
//! A test starts a [`Child`] in one of the [`ROLES`], with a few words as arguments, and then talks
//! with it line by line over its standard input and output. A role is a function that is handed
//! the [`Parent`] and its words; the process ends when the function returns. To add a role, write
//! the function beside the tests that need it and list it here.

#[cfg(target_os = "linux")]
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

/// The function that a process of that role runs, with the words it was started with.
type Play = fn(&mut Parent, &[String]);

/// Each role and what it does.
const ROLES: &[(&str, Play)] = &[
    ("back up or restore", crate::restore::killed::role),
    ("create at once", crate::opening::processes::create_at_once),
    ("follow lines", crate::coherence::follow_lines),
    ("full disk", crate::full_disk::role),
    ("group", crate::group::role),
    ("grow", crate::opening::processes::grow),
    ("guess", crate::throttle::limit::role),
    ("hold the write lock", crate::transaction::hold_the_write_lock),
    ("meddle", crate::coherence::meddle),
    ("only verify", crate::guards::only_verifies::role),
    ("open", crate::opening::processes::open),
    ("open in a state", crate::always_starts::open),
    ("keep open", crate::restore::keep_open),
    ("link identities", crate::external_identity::role),
    ("limited", crate::full_disk::file_size::role),
    ("litestream", crate::restore::litestream::role),
    ("live", crate::opening::modes::role),
    ("look for a long password", crate::leak::memory::look_for_long_password),
    ("look through its own memory", crate::leak::memory::look_through),
    ("model", crate::histories::role),
    ("options", crate::change_options::role),
    ("plain SQL", crate::opening::processes::plain_sql),
    ("read in turns", crate::log::role),
    ("race", crate::races::role),
    ("race of privileges", crate::coherence::change_or_ask),
    ("race of verifies", crate::coherence::role),
    ("rekey", crate::rekey::role),
    ("restore under load", crate::restore::rounds::role),
    ("scan", crate::always_starts::scan),
    ("tickets", crate::ticket::role),
    ("underneath", crate::underneath::role),
    ("use at a time", crate::clock::role),
    ("uses", crate::uses::role),
    ("verify while it changes", crate::underneath::rounds::role),
    ("write while it changes", crate::underneath::rounds::writing_role),
    ("without descriptors", crate::readers::without_descriptors),
    ("write", crate::opening::processes::write),
];

/// The prefix of a line that is meant for the other side: the test harness prints, too.
const MARK: &str = "@ ";
/// The prefix of a word, which the harness would take for an option otherwise.
const WORD: char = '=';

/// Another process, in one of the roles. Killed if it is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: process::Child,
    output: BufReader<process::ChildStdout>,
}

impl Child {
    /// Starts a process in that role.
    #[track_caller]
    pub(crate) fn start(role: &str, words: &[&str]) -> Self {
        Self::started(&mut Self::command(role, words))
    }

    /// The command that [`Child::start`] runs, to be run as another user or by another program.
    pub(crate) fn command(role: &str, words: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child::role", "--nocapture"]);
        command.args([role].iter().chain(words).map(|word| format!("{WORD}{word}")));
        command
    }

    /// Starts a process by a command that was changed.
    #[track_caller]
    pub(crate) fn started(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// Its descriptors of the file that is or was at this path, if it has opened it for writing.
    #[cfg(target_os = "linux")]
    pub(crate) fn descriptors(&self, path: &Path) -> Vec<PathBuf> {
        let of_process = PathBuf::from(format!("/proc/{}", self.process.id()));
        let all = fs::read_dir(of_process.join("fd")).into_iter().flatten().flatten();
        let is_of_path = |entry: &fs::DirEntry| {
            let leads_to = fs::read_link(entry.path()).unwrap_or_default();
            let leads_to = leads_to.display().to_string();
            let flags = fs::read_to_string(of_process.join("fdinfo").join(entry.file_name()));
            let flags = flags.unwrap_or_default();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
            // Octal; its last digit says whether the file is open for reading and writing.
            leads_to.trim_end_matches(" (deleted)") == path.to_str().unwrap()
                && flags.is_some_and(|flags| flags.ends_with('2'))
        };
        all.filter(is_of_path).map(|entry| entry.path()).collect()
    }

    /// Waits until it has the file open for writing.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn opens(&mut self, path: &Path) {
        while self.descriptors(path).is_empty() {
            assert!(self.process.try_wait().unwrap().is_none(), "{}", self.complaint());
            std::thread::yield_now();
        }
    }

    /// Sends it a line.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        let mut input = self.process.stdin.as_ref().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Waits for its next line.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        let Some(line) = self.hear_if_any() else {
            panic!("the child said no more: {}", self.complaint());
        };
        line
    }

    /// Waits for its next line, or for its end.
    #[track_caller]
    pub(crate) fn hear_if_any(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_prefix(MARK) {
                return Some(said.trim_end().to_owned());
            }
            line.clear();
        }
        None
    }

    /// Kills it at once, as `kill -9` does, and returns the lines that it had still written.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::iter::from_fn(|| self.hear_if_any()).collect()
    }

    /// Closes its input, waits for its end, and asserts that it succeeded.
    #[track_caller]
    pub(crate) fn end(mut self) {
        drop(self.process.stdin.take());
        while self.hear_if_any().is_some() {}
        let ended = self.process.wait().unwrap();
        assert!(ended.success(), "the child failed: {}", self.complaint());
    }

    /// Waits for its end, however it ends.
    #[track_caller]
    pub(crate) fn wait(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }

    /// Its standard error, once it has ended.
    pub(crate) fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut errors) = self.process.stderr.take() {
            let _ = errors.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The process that started this one.
#[derive(Debug)]
pub(crate) struct Parent;

impl Parent {
    /// Sends it a line.
    pub(crate) fn say(&mut self, line: &str) {
        let mut output = std::io::stdout();
        writeln!(output, "\n{MARK}{line}").unwrap();
        output.flush().unwrap();
    }

    /// Waits for its next line; `None` if there will be no more.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = std::io::stdin().read_line(&mut line).unwrap();
        (length > 0).then(|| line.trim_end().to_owned())
    }
}

/// The words that this process was started with: those of a role, or of a long run of a script.
pub(crate) fn words() -> Vec<String> {
    std::env::args().filter_map(|word| Some(word.strip_prefix(WORD)?.to_owned())).collect()
}

/// Not a test of its own: a [`Child`] runs it. Without a role it does nothing.
#[test]
fn role() {
    let words = words();
    let Some((name, words)) = words.split_first() else { return };
    let found = ROLES.iter().find(|(role, _)| role == name);
    let (_, play) = found.unwrap_or_else(|| panic!("no such role: {name}"));
    play(&mut Parent, words);
}

#[test]
fn a_child_that_fails_is_heard_of() {
    let mut child = Child::start("no such role", &[]);
    assert_eq!(child.hear_if_any(), None);
    let ended = child.process.wait().unwrap();
    assert!(!ended.success());
}
