//! The command `gatepost`: operate a Gatepost store from a shell.
//!
//! It uses the public API of the library alone, so that it never does to a file what a host could
//! not do. `arguments` is the command line; `command/` has one module for each record type and each
//! task of an operator; `context` opens the file and names the actor; `output` prints rows as a
//! table or as JSON lines; `failure` maps every error to an exit code. The manual's page `command`
//! lists the exit codes and one command for each task.

mod arguments;
mod command;
mod context;
mod failure;
mod names;
mod output;
mod prompt;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use output::printable;

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| refuse(&error));
    match command::run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report().into(),
    }
}

/// Prints the help, or what is wrong with the command line. The message quotes words of it, so they
/// are read again without what could move the cursor of a terminal.
fn refuse(error: &clap::Error) -> ! {
    let words = std::env::args_os().map(|word| printable(&word.to_string_lossy()));
    Arguments::try_parse_from(words).err().as_ref().unwrap_or(error).exit()
}
