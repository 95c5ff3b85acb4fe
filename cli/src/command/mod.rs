//! One module for each record type, and for each task of an operator.
//!
//! A module has the arguments of its subcommands, each with one example, and what they do. A
//! command that writes takes the store from `Context::writing`.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod branch;
pub(crate) mod calibrate;
pub(crate) mod config;
pub(crate) mod credit;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod factor;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod key_file;
pub(crate) mod organisation;
pub(crate) mod pages;
pub(crate) mod rekey;
pub(crate) mod restore;
pub(crate) mod session;
pub(crate) mod stats;
pub(crate) mod sweep;
pub(crate) mod token;
pub(crate) mod user;

use crate::arguments::{Arguments, Command};
use crate::context::Context;
use crate::failure::{Exit, Result};

/// Does what the command line says.
pub(crate) fn run(arguments: Arguments) -> Result<Exit> {
    let Arguments { global, command } = arguments;
    let open = || Context::open(&global);
    match command {
        Command::Init(command) => command.run(&global)?,
        Command::User(command) => command.run(&open()?)?,
        Command::Organisation(command) => command.run(&open()?)?,
        Command::Branch(command) => command.run(&open()?)?,
        Command::Session(command) => command.run(&open()?)?,
        Command::Device(command) => command.run(&open()?)?,
        Command::Factor(command) => command.run(&open()?)?,
        Command::Config(command) => command.run(&open()?)?,
        Command::Credit(command) => command.run(&open()?)?,
        Command::Key(command) => command.run(&open()?)?,
        Command::KeyFile(command) => command.run(&global)?,
        Command::Rekey(command) => command.run(&open()?)?,
        Command::Backup(command) => command.run(&open()?)?,
        Command::Restore(command) => command.run(&global)?,
        Command::Import(command) => return command.run(&open()?, &global),
        Command::Export(command) => command.run(&open()?)?,
        Command::Audit(command) => return command.run(&open()?),
        Command::Token(command) => return command.run(&open()?),
        Command::Stats(command) => command.run(&open()?)?,
        Command::Explain(command) => command.run(&open()?)?,
        Command::Sweep(command) => command.run(&open()?)?,
        Command::Doctor(command) => return command.run(&global),
        Command::Calibrate(command) => command.run(&global)?,
        Command::Completions(command) => command.run(&global)?,
        Command::Man(command) => command.run(&global)?,
    }
    Ok(Exit::Done)
}
