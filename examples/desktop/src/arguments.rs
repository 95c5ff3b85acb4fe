//! The command line.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
usage: gatepost-example-desktop [--light | --dark] [--file] [--lock-after SECONDS] [--state FILE]

  --light, --dark       a theme, instead of the one of the system
  --file                save the sign-in in a private file, instead of the Secret Service
  --lock-after SECONDS  lock the window after so long without use: 10 to 86400, 300 if not given
  --state FILE          write the screen to this file after each change, for a test";

/// What the command line chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) is_dark: Option<bool>,
    pub(crate) vault: Vault,
    pub(crate) lock_after: Duration,
    pub(crate) state: Option<PathBuf>,
}

/// Where the sign-in is saved between two starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vault {
    SecretService,
    File,
    /// Chosen on the screen that says that the Secret Service is not there.
    Memory,
}

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let lock_after = Duration::from_secs(300);
        let vault = Vault::SecretService;
        let mut arguments = Self { is_dark: None, vault, lock_after, state: None };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--light" => arguments.is_dark = Some(false),
                "--dark" => arguments.is_dark = Some(true),
                "--file" => arguments.vault = Vault::File,
                "--lock-after" => {
                    let seconds = words.next().and_then(|text| text.parse().ok());
                    let seconds = seconds.ok_or("--lock-after takes a number of seconds")?;
                    arguments.lock_after = Duration::from_secs(seconds);
                }
                "--state" => {
                    let file = words.next().ok_or("--state takes the name of a file")?;
                    arguments.state = Some(file.into());
                }
                _ => return Err(format!("{word} is no option")),
            }
        }
        Ok(arguments)
    }
}
