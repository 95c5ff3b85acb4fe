//! What a command asks a person, or reads from standard input: passwords, tokens, confirmation.
//!
//! A secret is never an argument: other users of the machine can read the arguments of a process.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use gatepost::{DeviceId, Password};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, Result};
use crate::output::printable;

/// The most bytes that are read from standard input as one secret.
const SECRET_MAX_BYTES: u64 = 65_536;

/// A new password: the whole of standard input without its line end, or typed twice at the
/// terminal, without echo.
///
/// The terminal is that of the process, also if standard input is a pipe.
pub(crate) fn new_password(from_stdin: bool) -> Result<Password> {
    if from_stdin {
        return secret_of_stdin("password").map(|text| Password::new(text.to_string()));
    }
    let advice = "Give it on standard input, with --password-stdin.";
    let typed = hidden("New password: ", advice)?;
    let again = hidden("The same password again: ", advice)?;
    if typed != again {
        return Err(Failure::invalid("the two passwords differ"));
    }
    Ok(Password::new(typed.to_string()))
}

/// A password that exists, typed once at the terminal, without echo.
pub(crate) fn password(question: &str) -> Result<Password> {
    let typed = hidden(question, "Run it at a terminal.")?;
    Ok(Password::new(typed.to_string()))
}

/// One line of standard input, such as a code, which is asked for on standard error.
pub(crate) fn line(question: &str) -> Result<Zeroizing<String>> {
    let mut terminal = io::stderr().lock();
    let asked = write!(terminal, "{}", printable(question)).and_then(|()| terminal.flush());
    asked.map_err(|error| Failure::io("standard error", &error))?;
    let mut text = Zeroizing::new(String::new());
    let mut input = io::stdin().lock().take(SECRET_MAX_BYTES);
    input.read_line(&mut text).map_err(|error| Failure::io("standard input", &error))?;
    if text.trim().is_empty() {
        return Err(Failure::new(Exit::NotConfirmed, "no code was typed", "Run it again."));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// The whole of standard input, without its line end.
pub(crate) fn secret_of_stdin(what: &str) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let mut input = io::stdin().lock().take(SECRET_MAX_BYTES + 1);
    input.read_to_string(&mut text).map_err(|error| Failure::io("standard input", &error))?;
    if text.len() as u64 > SECRET_MAX_BYTES {
        return Err(Failure::invalid(format!("the {what} is longer than 65,536 bytes")));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::invalid(format!("standard input has no {what}")));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// A token on the first line of standard input, and the id of its device on the second, if there is
/// one.
pub(crate) fn token_of_stdin() -> Result<(Zeroizing<String>, Option<DeviceId>)> {
    let input = secret_of_stdin("token")?;
    let mut lines = input.lines().map(str::trim);
    let token = Zeroizing::new(lines.next().unwrap_or_default().to_owned());
    let device = lines.next().filter(|line| !line.is_empty()).map(DeviceId::new).transpose()?;
    Ok((token, device))
}

/// Asks before what cannot be undone. Without a terminal there is no person to answer.
pub(crate) fn confirm(question: &str) -> Result<()> {
    let not_confirmed = |advice: &str| {
        Failure::new(Exit::NotConfirmed, "not confirmed; nothing was changed", advice)
    };
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        return Err(not_confirmed("There is no terminal to ask: give --yes."));
    }
    let mut terminal = io::stderr().lock();
    let asked = write!(terminal, "{} [y/N] ", printable(question)).and_then(|()| terminal.flush());
    asked.map_err(|error| Failure::io("standard error", &error))?;
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(|error| Failure::io("standard input", &error))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(not_confirmed("")),
    }
}

fn hidden(question: &str, advice: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(printable(question)).map(Zeroizing::new).map_err(|error| {
        let what = format!("the password cannot be asked at a terminal: {error}");
        Failure::new(Exit::Unavailable, what, advice)
    })
}
