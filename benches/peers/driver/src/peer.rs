//! A peer as the driver sees it: a process that answers lines.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::program::Program;

/// For how long a session that another process has ended went on passing.
#[derive(Clone, Copy)]
pub enum Staleness {
    /// No call that began after the acknowledgement was answered yes.
    None,
    /// The longest seen, in milliseconds.
    UpTo(f64),
    /// It still passed when the watch was given up.
    NeverNoticed {
        watched_ms: u64,
        /// For how many seconds the documented default of the peer lets it pass, if it has one.
        allowed_s: Option<u64>,
    },
}

impl Staleness {
    pub fn in_words(self) -> String {
        match self {
            Self::None => "not at all".to_owned(),
            Self::UpTo(ms) => format!("up to {ms:.2} ms"),
            Self::NeverNoticed { watched_ms, allowed_s } => {
                let watched = format!("still after {} s", watched_ms as f64 / 1_000.0);
                match allowed_s {
                    Some(allowed) => format!("{watched} (its default: {allowed} s)"),
                    None => watched,
                }
            }
        }
    }
}

pub struct Peer {
    program: Program,
    directory: PathBuf,
    form: String,
    child: Child,
    /// `None` once hung up.
    asked: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// See [`Staleness::NeverNoticed`].
    allowed_s: Option<u64>,
}

impl Peer {
    /// Starts a process; the reason, if what it needs is not installed.
    pub fn start(
        program: &Program,
        directory: &Path,
        form: &str,
    ) -> Outcome<Result<Self, String>> {
        let mut command = program.command()?;
        command.arg(directory);
        if !form.is_empty() {
            command.arg(form);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asked = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut peer = Self {
            program: program.clone(),
            directory: directory.to_owned(),
            form: form.to_owned(),
            child,
            asked,
            answers,
            allowed_s: None,
        };
        let greeting = peer.answer()?;
        if let Some(why) = greeting.strip_prefix("absent ") {
            return Ok(Err(why.to_owned()));
        }
        peer.allowed_s = greeting.strip_prefix("ready ").map(str::parse).transpose()?;
        Ok(Ok(peer))
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
                let (watched_ms, allowed_s) = (watch_ms, self.allowed_s);
                return Ok(Staleness::NeverNoticed { watched_ms, allowed_s });
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
            None => Err(format!("the peer in {} ended", self.directory.display()).into()),
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
