//! Other processes: this program again; its first argument says what to do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use gatepost::host::{Clock, ManualClock, SystemClock};
use gatepost::{DeviceId, Ended, LoginRequest, NewUser, Options, Password, Store};

use crate::filled::Filled;
use crate::{hit, memory, miss};

/// The first argument of a child.
pub const ROLE: &str = "child";

const PASSWORD: &str = "nine brass bells";

/// Does the work of a child, if this process is one; returns whether it is.
pub fn play(arguments: &[String]) -> bool {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [ROLE, "verify", calls] => {
            // Once in a second of the clock the file is checked, which is not part of a verify.
            let clock = Arc::new(ManualClock::new(SystemClock::default().now()));
            let filled = match calls.strip_prefix("timeless ") {
                Some(_) => Filled::with(Options::server().clock(clock), 1_000),
                None => Filled::with(Options::server(), 1_000),
            };
            filled.verify_all();
            let calls = calls.trim_start_matches("timeless ");
            hit::counted(&filled, calls.parse().unwrap());
            // Nothing more is to be counted, not even the closing of the store.
            std::process::exit(0);
        }
        [ROLE, "miss", calls] => {
            let filled = Filled::new(Options::server().cache(None), 1_000);
            filled.verify_all();
            hit::counted(&filled, calls.parse().unwrap());
            std::process::exit(0);
        }
        [ROLE, "select", calls] => {
            miss::counted(&Filled::new(Options::server(), 1_000), calls.parse().unwrap());
            std::process::exit(0);
        }
        [ROLE, "log in and out", path] => log_in_and_out(path),
        [ROLE, "memory", sessions, cached] => {
            memory::play(sessions.parse().unwrap(), cached.parse().unwrap());
        }
        [ROLE, "idle memory"] => memory::play_idle(),
        _ => return false,
    }
    true
}

/// Another process that says a line now and then.
pub struct Other {
    child: Child,
    to: ChildStdin,
    pub from: BufReader<ChildStdout>,
}

impl Other {
    pub fn start(words: &[&str]) -> Self {
        let mut child = again(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, to, from: BufReader::new(from) }
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.to, "{line}").unwrap();
        self.to.flush().unwrap();
    }

    /// The next line; empty once the other has ended.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn end(self) {
        let Self { mut child, to, .. } = self;
        drop(to);
        child.wait().unwrap();
    }
}

/// This program again, as a child.
pub fn again(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(ROLE).args(words);
    command
}

/// For each line `N` it hears: logs in and out N times, and reports each session whose logout was
/// acknowledged, then `done`.
fn log_in_and_out(path: &str) {
    let store = Store::open(path, Options::for_tests()).unwrap();
    let user = NewUser::person("bob").password(Password::from(PASSWORD));
    store.users().create(user).unwrap();
    let device = DeviceId::new("till-2").unwrap();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lines() {
        for _ in 0..line.unwrap().parse::<usize>().unwrap() {
            let request = LoginRequest::new("bob", Password::from(PASSWORD), device.clone());
            let reply = store.log_in(request).unwrap().granted().unwrap();
            let token = reply.session.token.expose();
            assert_eq!(store.log_out((token, &device)).unwrap(), Ended::Now);
            writeln!(out, "{token}").unwrap();
        }
        writeln!(out, "done").unwrap();
        out.flush().unwrap();
    }
}
