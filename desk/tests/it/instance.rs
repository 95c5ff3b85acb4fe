//! An instance of a program in a process of its own, which a test asks and kills.
//!
//! It is this test binary, with the test `instance::role` alone: commands come by standard input,
//! one a line, and each has one line of answer.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use gatepost::sessions::Reauthentication;
use gatepost_desk::{
    Desk, DeskError, Folder, SavedToken, Seat, SignIn, TokenVault, VaultError, VaultKind,
};

use crate::world::{APP, options, password};

/// Before each answer, as the test harness prints, too.
const MARK: &str = "@ ";
/// Before the path of the folder, which the harness would take for a filter otherwise.
const WORD: char = '=';

/// A vault of one file, written whole or not at all, as a desktop's vault survives its clients.
#[derive(Debug)]
pub(crate) struct FileShelf(PathBuf);

impl FileShelf {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.replace('/', "+"))
    }
}

fn failed(error: std::io::Error) -> VaultError {
    VaultError::Failed(std::sync::Arc::new(error))
}

impl TokenVault for FileShelf {
    fn kind(&self) -> VaultKind {
        VaultKind::Other
    }

    fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError> {
        match std::fs::read_to_string(self.path(name)) {
            Ok(text) => Ok(Some(SavedToken::new(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError> {
        let new = self.0.join(format!("new-{}", std::process::id()));
        std::fs::write(&new, token.expose()).map_err(failed)?;
        std::fs::rename(&new, self.path(name)).map_err(failed)
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

/// The desk in that folder, as every instance opens it.
pub(crate) fn open(directory: &Path) -> Result<Desk, DeskError> {
    let vault = FileShelf(directory.join("vault"));
    let _ = std::fs::create_dir(&vault.0);
    let folder = Folder::at(directory.join("till"))?;
    Desk::builder(APP).folder(folder).options(options()).vault(vault).open()
}

/// As [`open`], by a program that chooses no vault.
fn open_default(directory: &Path) -> Result<Desk, DeskError> {
    Desk::builder(APP).folder(Folder::at(directory.join("till"))?).options(options()).open()
}

/// The program of an instance. As a test, without the path of a folder, it does nothing.
#[test]
fn role() {
    let mut words = std::env::args().filter_map(|word| word.strip_prefix(WORD).map(str::to_owned));
    let Some(directory) = words.next_back() else { return };
    let mut program = Program { directory: directory.into(), desk: None, seat: None };
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = program.answer(command, argument);
        say(&answer.unwrap_or_else(|error| format!("error {error:?}")));
    }
}

fn say(text: &str) {
    println!("\n{MARK}{text}");
}

struct Program {
    directory: PathBuf,
    desk: Option<Desk>,
    seat: Option<Seat>,
}

impl Program {
    fn answer(&mut self, command: &str, argument: &str) -> Result<String, DeskError> {
        if let "open" | "open_default" = command {
            let desk = if command == "open" { open } else { open_default };
            self.desk = Some(desk(&self.directory)?);
            return Ok("open".into());
        }
        let desk = self.desk.clone().unwrap();
        match command {
            "first" => match desk.first_administrator(argument, password(argument)) {
                Ok(_) => return Ok("created".into()),
                Err(DeskError::NotEmpty) => return Ok("not empty".into()),
                Err(error) => return Err(error),
            },
            "resume" => {
                self.seat = desk.resume()?;
                return Ok(self.seat.as_ref().map_or("none".into(), Seat::username));
            }
            "sign_in" => {
                return Ok(match desk.sign_in(argument, password(argument))? {
                    SignIn::Granted(seat) => {
                        self.seat = Some(seat);
                        "granted".into()
                    }
                    other => other.granted().unwrap_err().refusal().name().into(),
                });
            }
            "work" => work(&desk, argument.parse().unwrap()),
            _ => {}
        }
        let seat = self.seat.clone().unwrap();
        match command {
            "lock" => seat.lock().map(|()| "locked".into()),
            "unlock" => unlock(&seat),
            "change" => {
                let (old, new) = argument.split_once(' ').unwrap();
                let changed = seat.change_password(password(old), password(new))?;
                Ok(changed.done().map_or("refused", |()| "changed").into())
            }
            "saved" => Ok(format!("{:?}", seat.saved())),
            "may" => seat.may(argument).map(|may| may.to_string()),
            "state" => seat.state().map(|state| format!("{state:?}")),
            "sign_out" => seat.sign_out().map(|()| "signed out".into()),
            _ => panic!("no such command: {command}"),
        }
    }
}

fn unlock(seat: &Seat) -> Result<String, DeskError> {
    let with = Reauthentication::password(password(&seat.username()));
    Ok(seat.unlock(with)?.done().map_or("refused", |()| "unlocked").into())
}

/// Works until it is killed: says the name of each step before it, and what is saved after it.
fn work(desk: &Desk, first: usize) {
    let next = |seat: &Option<Seat>, step: &str| -> Option<Seat> {
        say(&format!("begin {step}"));
        let seat = match (step, seat) {
            ("sign_in" | "switch", _) => {
                let user = if step == "switch" { "bob" } else { "ada" };
                Some(desk.sign_in(user, password(user)).unwrap().granted().unwrap())
            }
            ("lock", Some(seat)) => {
                seat.lock().unwrap();
                Some(seat.clone())
            }
            ("unlock", Some(seat)) => {
                assert_eq!(unlock(seat).unwrap(), "unlocked");
                Some(seat.clone())
            }
            ("sign_out", Some(seat)) => {
                seat.sign_out().unwrap();
                None
            }
            _ => None,
        };
        let is_saved = !matches!(step, "lock" | "sign_out");
        let user = seat.as_ref().filter(|_| is_saved).map_or("none".into(), Seat::username);
        say(&format!("done {user}"));
        seat
    };
    let mut seat = None;
    let steps = ["sign_in", "switch", "lock", "unlock", "sign_out"];
    for at in 0.. {
        // The first round begins with a sign-in at any place.
        let step = if at == 0 { "sign_in" } else { steps[(first + at) % steps.len()] };
        let step = if seat.is_none() && step != "switch" { "sign_in" } else { step };
        seat = next(&seat, step);
    }
}

/// An instance in another process; killed if it is dropped.
pub(crate) struct Instance {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Instance {
    /// Starts an instance on that directory, which opens its desk.
    pub(crate) fn start(directory: &Path) -> Self {
        let mut instance = Self::start_closed(directory);
        assert_eq!(instance.ask("open"), "open");
        instance
    }

    pub(crate) fn start_closed(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "instance::role", "--nocapture"]);
        command.arg(format!("{WORD}{}", directory.display()));
        // No bus: no test reaches the keyring of the session in which it runs.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, output }
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(command);
        self.read().unwrap()
    }

    pub(crate) fn send(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    /// The next answer; `None` if the process has ended.
    pub(crate) fn read(&mut self) -> Option<String> {
        let mut lines = self.output.by_ref().map_while(Result::ok);
        lines.find_map(|line| Some(line.strip_prefix(MARK)?.to_owned()))
    }

    /// Kills the process at this instant, and returns the answers that were not read.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::iter::from_fn(|| self.read()).collect()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
