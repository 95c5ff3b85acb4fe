//! Tokens of sessions, and API keys.

use clap::Subcommand;
use gatepost::DeviceId;

use crate::context::Context;
use crate::failure::{Exit, Result};
use crate::output::note;
use crate::prompt;

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Show the identity behind a token, if it is valid
    ///
    /// Standard input has the token or API key on its first line, and the id of the device that it
    /// was issued for, if there is one, on its second. The exit code is 1 if the token is not
    /// valid. A token that is valid counts as used.
    #[command(after_help = "Example: gatepost token verify < token.txt")]
    Verify,
}

impl Token {
    pub(crate) fn run(self, context: &Context) -> Result<Exit> {
        let Self::Verify = self;
        let input = prompt::secret_of_stdin("token")?;
        let mut lines = input.lines().map(str::trim);
        let token = lines.next().unwrap_or_default();
        let device =
            lines.next().filter(|line| !line.is_empty()).map(DeviceId::new).transpose()?;
        match context.store.verify((token, device.as_ref()))?.valid() {
            Ok(principal) => context.output.record(&principal).map(|()| Exit::Done),
            Err(invalid) => {
                note(&format!("gatepost: {invalid}"));
                Ok(Exit::No)
            }
        }
    }
}
