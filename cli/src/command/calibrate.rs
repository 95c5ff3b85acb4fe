//! The cost of the password hash.

use std::time::Duration;

use clap::Args;
use gatepost::policy::Cost;
use serde_json::json;

use crate::arguments::Global;
use crate::failure::Result;
use crate::output::Output;

/// Suggest a cost of the password hash for this machine
///
/// Measures this machine and prints the values for `Cost::new`. Run it on an idle machine of the
/// kind that will hash the passwords.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost calibrate --target 100ms --memory-max-kib 65536")]
pub(crate) struct Calibrate {
    /// How long one hash should take
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "100ms",
        value_parser = humantime::parse_duration
    )]
    target: Duration,

    /// The most memory for one hash, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 65_536)]
    memory_max_kib: u32,
}

impl Calibrate {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let cost = Cost::calibrate(self.target, self.memory_max_kib);
        Output { json: global.json }.record(&json!({
            "memory_kib": cost.memory_kib(),
            "passes": cost.passes(),
            "lanes": cost.lanes(),
        }))
    }
}
