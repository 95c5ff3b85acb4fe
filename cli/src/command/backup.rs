//! Backups.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use gatepost::host::{Clock, SystemClock};
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::note;

/// Of the time in the name of a backup: `20260105T090000Z`.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// Write a verified backup of the store, while it is in use
///
/// The backup is a file that only its owner can read, with a manifest beside it. It never replaces
/// a file. `gatepost restore` puts it back.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost backup /var/backups/app/auth.db --keep 14")]
pub(crate) struct Backup {
    /// The file of the backup
    path: PathBuf,

    /// Add the time to its name, and delete the oldest of that name that are more than this many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
}

impl Backup {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        if self.keep.is_some() && !names_a_file(&self.path) {
            return Err(Failure::invalid(
                "with --keep the path must end in a name: name the file of the backup, not its \
                 directory",
            ));
        }
        let target = if self.keep.is_some() { dated(&self.path) } else { self.path.clone() };
        // On standard error, and hidden if that is no terminal.
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pages, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let written = context.writing("backup")?.backup(&target, |progress| {
            bar.set_length(progress.pages);
            bar.set_position(progress.pages_done);
        });
        bar.abandon();
        let report = written?;
        let deleted = match self.keep {
            Some(keep) => delete_oldest(&self.path, &report.path, usize::from(keep)),
            None => Ok(()),
        };
        // The backup is there in either case.
        let sentence = format!("wrote {} ({} pages)", report.path.display(), report.pages);
        let printed = context.output.done(&sentence, &report);
        deleted.and(printed)
    }
}

/// Whether the path ends in a name. What is added to `b/`, `b/.` or `.` is the name of another
/// file.
fn names_a_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| path.as_os_str().as_bytes().ends_with(name.as_bytes()))
}

/// The path with the time after its name.
fn dated(path: &Path) -> PathBuf {
    let now: gatepost::chrono::DateTime<gatepost::chrono::Utc> =
        SystemClock::default().now().into();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", now.format(TIME)));
    PathBuf::from(name)
}

/// Deletes the oldest backups of that name, each with its manifest. What has no manifest, or no
/// time in its name, is not one of them. The one just written stays, although a clock that was
/// wrong may have given others a later name.
fn delete_oldest(path: &Path, written: &Path, keep: usize) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    let failed = |error| Failure::io("the older backups", &error);
    let mut names: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let time = name.as_bytes().strip_prefix(prefix.as_bytes());
        let is_dated = time.and_then(|time| str::from_utf8(time).ok()).is_some_and(|time| {
            gatepost::chrono::NaiveDateTime::parse_from_str(time, TIME).is_ok()
        });
        let is_other = written.file_name().is_none_or(|own| own != name);
        if is_dated && is_other && directory.join(manifest(&name)).is_file() {
            names.push(name);
        }
    }
    // The times sort as texts.
    names.sort();
    for name in names.iter().take((names.len() + 1).saturating_sub(keep)) {
        // The manifest last: without it the rest would be no backup that is deleted next time.
        for file in [name.clone(), manifest(name)] {
            fs::remove_file(directory.join(file)).map_err(failed)?;
        }
        note(&format!("deleted {}", directory.join(name).display()));
    }
    Ok(())
}

fn manifest(name: &OsStr) -> OsString {
    let mut manifest = name.to_owned();
    manifest.push(".manifest");
    manifest
}
