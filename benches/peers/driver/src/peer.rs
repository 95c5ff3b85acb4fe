//! A peer as the driver sees it: a process that answers lines.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Outcome;

/// For how long a session that another process has ended went on passing.
#[derive(Clone, Copy)]
pub enum Staleness {
    /// No call that began after the acknowledgement was answered yes.
    None,
    /// The longest seen, in milliseconds.
    UpTo(f64),
    /// It still passed when the watch was given up, after this many milliseconds.
    NeverNoticed(u64),
}

impl Staleness {
    pub fn in_words(self) -> String {
        match self {
            Self::None => "0 ms: never".to_owned(),
            Self::UpTo(ms) => format!("up to {ms:.2} ms"),
            Self::NeverNoticed(ms) => format!("still after {} s", ms as f64 / 1_000.0),
        }
    }
}

pub struct Peer {
    program: PathBuf,
    directory: PathBuf,
    form: String,
    child: Child,
    /// `None` once hung up.
    asked: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts a process; the reason, if what it needs is not installed.
    pub fn start(program: &Path, directory: &Path, form: &str) -> Outcome<Result<Self, String>> {
        let mut command = Command::new(program);
        command.arg(directory);
        if !form.is_empty() {
            command.arg(form);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asked = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut peer = Self {
            program: program.to_owned(),
            directory: directory.to_owned(),
            form: form.to_owned(),
            child,
            asked,
            answers,
        };
        let greeting = peer.answer()?;
        match greeting.strip_prefix("absent ") {
            Some(why) => Ok(Err(why.to_owned())),
            None => Ok(Ok(peer)),
        }
    }

    /// Asks, and gives what follows the word that the answer is to begin with.
    pub fn ask(&mut self, line: &str, word: &str) -> Outcome<String> {
        self.send(line)?;
        self.expect(word)
    }

    /// Ends sessions from a second process while this one asks for them.
    pub fn staleness(&mut self, ends: usize, watch_ms: u64) -> Outcome<Staleness> {
        let mut other = Self::start(&self.program, &self.directory, &self.form)??;
        let mut worst: f64 = 0.0;
        for _ in 0..ends {
            let token = self.ask("open", "token")?;
            self.ask(&format!("watch {token} {watch_ms}"), "watching")?;
            // Well into the watch, as a revocation comes in real use.
            thread::sleep(Duration::from_millis(20));
            let ended: i128 = other.ask(&format!("end {token}"), "ended")?.parse()?;
            let answer = self.answer()?;
            let Some(last_yes) = answer.strip_prefix("stopped ") else {
                return Ok(Staleness::NeverNoticed(watch_ms));
            };
            let late_ns = last_yes.parse::<i128>()? - ended;
            worst = worst.max(late_ns as f64 / 1e6);
        }
        Ok(if worst > 0.0 { Staleness::UpTo(worst) } else { Staleness::None })
    }

    fn send(&mut self, line: &str) -> Outcome<()> {
        let asked = self.asked.as_mut().ok_or("hung up")?;
        writeln!(asked, "{line}")?;
        Ok(asked.flush()?)
    }

    fn expect(&mut self, word: &str) -> Outcome<String> {
        let answer = self.answer()?;
        match answer.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(format!("{word} was expected, not {answer:?}").into()),
        }
    }

    fn answer(&mut self) -> Outcome<String> {
        match self.answers.next() {
            Some(line) => Ok(line?),
            None => Err(format!("{} ended", self.program.display()).into()),
        }
    }
}

impl Drop for Peer {
    /// Hangs up, so that what it has started ends as well.
    fn drop(&mut self) {
        drop(self.asked.take());
        let _ = self.child.wait();
    }
}

/// Builds a project of `home`; answers its program.
pub fn build(home: &Path, target: &Path, project: &str) -> Outcome<PathBuf> {
    let manifest = home.join(project).join("Cargo.toml");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if !built.success() {
        return Err(format!("{project} does not build").into());
    }
    Ok(target.join("release").join(format!("peer-{project}")))
}

/// Builds a project that needs no driver, and lets it print.
pub fn run(home: &Path, target: &Path, project: &str) -> Outcome<()> {
    let program = build(home, target, project)?;
    if !Command::new(program).status()?.success() {
        return Err(format!("{project} failed").into());
    }
    Ok(())
}
