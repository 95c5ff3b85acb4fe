//! Key files, which seal the password hashes of a store.

use std::path::PathBuf;

use clap::Subcommand;
use gatepost::host::{KeyId, Keys};
use serde_json::json;

use crate::arguments::Global;
use crate::failure::Result;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyFile {
    /// Make a new key, in a new file that its owner alone may read
    ///
    /// Keep it in another directory than the store, and one copy of it apart from the backups of
    /// the store. No user can log in without it.
    #[command(after_help = "Example: gatepost key-file create 2026-11.key 2026-11")]
    Create {
        /// The new file
        path: PathBuf,
        /// The id of the key, such as the month: 1 to 32 of a-z 0-9 . _ -
        id: String,
    },
}

impl KeyFile {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let Self::Create { path, id } = self;
        let id = KeyId::new(id)?;
        Keys::create_file(&path, &id)?;
        let path = path.display().to_string();
        let sentence = format!("created the key {id} in {path}");
        let record = json!({ "path": path, "key": id });
        Output { json: global.json }.done(&sentence, &record)
    }
}
