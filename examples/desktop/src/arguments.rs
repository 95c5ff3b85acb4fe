//! The command line.

use std::time::Duration;

pub(crate) const HELP: &str = "\
usage: gatepost-example-desktop [--light | --dark] [--file] [--lock-after SECONDS]

  --light, --dark       a theme, instead of the one of the system
  --file                save the sign-in in a private file, instead of the Secret Service
  --lock-after SECONDS  lock the window after so long without use: 10 to 86400, 300 if not given";

/// What the command line chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) is_dark: Option<bool>,
    pub(crate) vault: Vault,
    pub(crate) lock_after: Duration,
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
        let mut arguments = Self { is_dark: None, vault: Vault::SecretService, lock_after };
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
                _ => return Err(format!("{word} is no option")),
            }
        }
        Ok(arguments)
    }
}
