//! What went wrong, and the exit code that says so to a program.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use gatepost::{Error, ErrorClass, ErrorKind};

use crate::output::printable;

/// The result of the functions of this command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The exit codes. They never change; the manual's page `command` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done = 0,
    /// The answer is no: the token is not valid, the audit log is not intact.
    No = 1,
    /// The command line is wrong. `clap` exits with it.
    #[cfg_attr(not(test), expect(dead_code, reason = "clap exits with it"))]
    Usage = 2,
    /// There is no such file or record.
    NotFound = 3,
    /// It does not fit what is stored: a name is taken, a limit is reached.
    Conflict = 4,
    /// A value breaks a rule.
    Invalid = 5,
    /// It is not allowed here.
    Refused = 6,
    /// Another process uses the file, or a wait is not over: try again.
    Busy = 7,
    /// The store cannot be used.
    Unavailable = 8,
    /// It was not confirmed.
    NotConfirmed = 9,
    /// The doctor found nothing worse than a warning.
    Warnings = 10,
    /// The doctor found an error.
    Errors = 11,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's error.
    Store(Error),
    /// This command's own sentence.
    Own { exit: Exit, what: String, advice: String },
    /// The reader of the output is gone, such as `head` after its last line.
    NotRead,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Own { exit, what: what.into(), advice: advice.into() }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, what, "Check the id or name; it may have been deleted.")
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, what, "Nothing was changed.")
    }

    /// A secret that is shown only once was issued and cannot be printed, so it is lost.
    pub(crate) fn not_shown(issued: &str, error: &io::Error, advice: String) -> Self {
        Self::new(
            Exit::Unavailable,
            format!("{issued}, and standard output cannot be written: {error}"),
            advice,
        )
    }

    /// Input or output of this command itself failed, not that of the store.
    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        Self::new(Exit::Unavailable, format!("{doing}: {error}"), "")
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Store(error) if error.is_retryable() => Exit::Busy,
            Self::Store(error) if error.kind() == ErrorKind::KeyMissing => Exit::Refused,
            Self::Store(error) => match error.class() {
                ErrorClass::NotFound => Exit::NotFound,
                ErrorClass::Conflict => Exit::Conflict,
                ErrorClass::Invalid => Exit::Invalid,
                ErrorClass::SignIn | ErrorClass::Forbidden => Exit::Refused,
                ErrorClass::Wait => Exit::Busy,
                ErrorClass::Unavailable => Exit::Unavailable,
            },
            Self::Own { exit, .. } => *exit,
            Self::NotRead => Exit::Done,
        }
    }

    /// Prints what went wrong and what to do, and returns the exit code.
    pub(crate) fn report(&self) -> Exit {
        let text = self.text();
        if !text.is_empty() {
            // The exit code says it as well, if standard error is closed.
            let _ = io::stderr().write_all(text.as_bytes());
        }
        self.exit()
    }

    /// One sentence: what went wrong.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Store(error) => error.to_string(),
            Self::Own { what, .. } => what.clone(),
            Self::NotRead => String::new(),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> &str {
        match self {
            Self::Store(error) => error.advice(),
            Self::Own { advice, .. } => advice,
            Self::NotRead => "",
        }
    }

    fn text(&self) -> String {
        let (what, advice) = (printable(&self.what()), printable(self.advice()));
        if what.is_empty() {
            return what;
        }
        let mut text = format!("gatepost: {what}\n");
        if let Self::Store(error) = self
            && let Some(path) = error.path()
        {
            let _ = writeln!(text, "  {}", printable(&path.display().to_string()));
        }
        if !advice.is_empty() {
            let _ = writeln!(text, "  {advice}");
        }
        if matches!(self, Self::Store(error) if error.kind() == ErrorKind::KeyMissing) {
            text.push_str("  With this command: --key-file PATH\n");
        }
        for flag in allowing(&format!("{what} {advice}")) {
            let _ = writeln!(text, "  With this command: --allow {flag}");
        }
        text
    }
}

/// The values of `--allow` for the options that a message of the library names.
fn allowing(message: &str) -> impl Iterator<Item = String> {
    let names = message.split("allow_").skip(1);
    names.map(|rest| {
        rest.chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .map(|c| if c == '_' { '-' } else { c })
            .collect()
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::arguments::Protection;

    const ALL: [Exit; 12] = [
        Exit::Done,
        Exit::No,
        Exit::Usage,
        Exit::NotFound,
        Exit::Conflict,
        Exit::Invalid,
        Exit::Refused,
        Exit::Busy,
        Exit::Unavailable,
        Exit::NotConfirmed,
        Exit::Warnings,
        Exit::Errors,
    ];

    #[test]
    fn the_manual_lists_every_exit_code_and_no_other() {
        let page = include_str!("../../manual/command.md");
        let listed = page.lines().filter_map(|line| {
            let code = line.strip_prefix("| ")?.split(' ').next()?;
            code.parse::<u8>().ok()
        });
        let listed: Vec<u8> = listed.collect();
        assert_eq!(listed, ALL.map(|exit| exit as u8));
    }

    #[test]
    fn a_kind_of_error_has_the_exit_code_of_its_class() {
        let exit =
            |text: &str| Failure::from(text.parse::<gatepost::UserId>().unwrap_err()).exit();
        assert_eq!(exit("ada"), Exit::Invalid);
        let options = gatepost::Options::stored();
        let missing = gatepost::Store::open("/no/such/directory/auth.db", options).unwrap_err();
        assert_eq!(Failure::from(missing).exit(), Exit::NotFound);
    }

    #[test]
    fn a_message_that_names_an_option_gets_the_flag_of_this_command() {
        let flags: Vec<String> =
            allowing("a; Options::dangerous().allow_hard_links() accepts it, allow_x_y.")
                .collect();
        assert_eq!(flags, ["hard-links", "x-y"]);
        for protection in Protection::value_variants() {
            let name = protection.to_possible_value().unwrap().get_name().to_owned();
            let option = format!("allow_{}()", name.replace('-', "_"));
            assert_eq!(allowing(&option).collect::<Vec<_>>(), [name]);
        }
    }
}
