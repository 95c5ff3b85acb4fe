//! Completions of shells, and manual pages.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::{Arguments, Global};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost completions bash > gatepost.bash")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "gatepost", &mut script);
        Output { json: global.json }.page(&String::from_utf8_lossy(&script))
    }
}

/// Write the manual pages into a directory
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost man /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The directory, which is created if there is none
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let directory = self.directory.display().to_string();
        fs::create_dir_all(&self.directory)
            .and_then(|()| clap_mangen::generate_to(Arguments::command(), &self.directory))
            .map_err(|error| Failure::io(&directory, &error))?;
        let sentence = format!("wrote the manual pages into {directory}");
        Output { json: global.json }
            .done(&sentence, &serde_json::json!({ "directory": directory }))
    }
}
