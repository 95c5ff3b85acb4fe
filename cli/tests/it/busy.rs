//! Another process, which logs a user in and verifies the token for as long as a test runs.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};

use crate::world::{PASSWORD, World};

const WORKER: &str = "worker";
/// The prefix of the lines that are meant for the test: the harness of the process prints as well.
const MARK: &str = "@ ";

/// The process. It ends, and reports, when it is asked to or dropped.
pub(crate) struct Busy {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Busy {
    /// Starts the process on the store of that world; returns when it has verified once.
    pub(crate) fn start(world: &World) -> Self {
        Self::start_on(&world.directory().join("auth.db"), world)
    }

    fn start_on(path: &Path, world: &World) -> Self {
        let worker = NewUser::person(WORKER).password(Password::from(PASSWORD));
        world.store().users().create(worker).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "busy::role", "--nocapture", &format!("={}", path.display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut busy = Self { process, output };
        assert_eq!(busy.hear(), "verified");
        busy
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_prefix(MARK) {
                return said.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the other process said no more");
    }

    /// Ends the process, and asserts that all of its calls were answered.
    pub(crate) fn end(mut self) {
        drop(self.process.stdin.take());
        let logins: u32 = self.hear().parse().unwrap();
        assert!(logins > 0);
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What the process does; nothing if the harness runs it as a test.
#[test]
fn role() {
    let Some(path) = std::env::args().find_map(|word| word.strip_prefix('=').map(str::to_owned))
    else {
        return;
    };
    let store = Store::open(path, Options::stored()).unwrap();
    let device = DeviceId::random().unwrap();
    let is_over = AtomicBool::new(false);
    let mut logins = 0_u32;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            let request = LoginRequest::new(WORKER, Password::from(PASSWORD), device.clone());
            let reply = store.log_in(request).unwrap().granted().unwrap();
            for _ in 0..1_000 {
                // A test may have revoked the session meanwhile: an answer either way.
                let _ = store.verify((&reply.session.token, &device)).unwrap().valid();
            }
            if logins == 0 {
                println!("\n{MARK}verified");
            }
            logins += 1;
        }
    });
    println!("{MARK}{logins}");
}
