//! Moving in: records from a file, of this project's own form or of another system.

mod csv_rows;
mod fields;
mod lines;
mod once;
mod record;
mod systems;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gatepost::Store;
use gatepost::directory::{ImportRecord, Imported};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::arguments::Global;
use crate::context::{Context, stored_in};
use crate::failure::{Exit, Failure, Result};
use crate::output::{answered, note};
use fields::Fields;
use lines::Lines;
use systems::Privileges;

/// The records of one write.
const RECORDS_PER_WRITE: usize = 500;
/// A write has fewer records if their lines have this length, as all are kept until then.
const BYTES_PER_WRITE: u64 = 4 * 1_048_576;

/// Import organisations, branches, users and configuration from a file
///
/// The file has one record on a line, as JSON, or is CSV with a line of headings. Nothing that
/// exists is changed, so an import that was interrupted is finished by the same command. The
/// manual's page `moving` lists the fields and the recipe of each system.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost import users.jsonl --from django --dry-run")]
pub(crate) struct Import {
    /// The file to read
    path: PathBuf,

    /// The system that the file is of; without it, the file is of the form of `gatepost export`
    #[arg(long, value_enum, value_name = "SYSTEM")]
    from: Option<System>,

    /// The format of the file; without it, CSV if the name ends in .csv
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Import into a copy of the store, which is deleted afterwards, and report what would happen
    #[arg(long)]
    dry_run: bool,
}

/// A system whose records can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// `manage.py dumpdata auth --format jsonl --natural-foreign`
    Django,
    /// Rows of an auth collection of PocketBase, such as `users`
    Pocketbase,
    /// Rows of `user` with the password of `account`
    BetterAuth,
    /// Rows of the table of users that a program with tower-sessions has
    TowerSessions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object on a line
    Jsonl,
    /// Comma-separated values (RFC 4180) with a line of headings
    Csv,
}

/// How many lines had which outcome.
#[derive(Debug, Default)]
struct Counts {
    created: u64,
    existing: u64,
    /// Lines that are no record to import, such as those of Django's other tables.
    skipped: u64,
    refused: u64,
}

impl Import {
    pub(crate) fn run(self, context: &Context, global: &Global) -> Result<Exit> {
        let mut lines = Lines::open(&self.path, self.format)?;
        let counts = if self.dry_run {
            let copy = Copy::of(context, &global.file)?;
            let context = stored_in(&copy.file(), global)?;
            self.import(&mut lines, &context.store)?
        } else {
            self.import(&mut lines, context.writing("import")?)?
        };
        let Counts { created, existing, skipped, refused } = counts;
        let would = if self.dry_run { "would be " } else { "" };
        let sentence = format!(
            "{created} {would}created, {existing} exist, {skipped} lines skipped, {refused} refused"
        );
        let record = json!({
            "created": created, "existing": existing, "skipped": skipped, "refused": refused,
            "dry_run": self.dry_run,
        });
        let answer = if refused == 0 { Exit::Done } else { Exit::Invalid };
        answered(context.output.done(&sentence, &record), answer)
    }

    fn import(&self, lines: &mut Lines, store: &Store) -> Result<Counts> {
        // On standard error, and hidden if that is no terminal.
        let bar = ProgressBar::new(lines.bytes());
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let mut counts = Counts::default();
        let mut privileges = Privileges::default();
        let mut batch: Vec<(u64, ImportRecord)> = Vec::with_capacity(RECORDS_PER_WRITE);
        let mut written_to = 0;
        while let Some((line, fields)) = lines.next()? {
            match fields.and_then(|fields| self.record(fields, &mut privileges)) {
                Ok(Some(record)) => batch.push((line, record)),
                Ok(None) => counts.skipped += 1,
                Err(what) => self.refuse(&bar, line, &what, &mut counts),
            }
            let read_to = lines.bytes_read();
            let bytes = read_to.saturating_sub(written_to);
            if batch.len() == RECORDS_PER_WRITE || bytes >= BYTES_PER_WRITE {
                self.write(store, &mut batch, &bar, &mut counts)?;
                bar.set_position(read_to);
                written_to = read_to;
            }
        }
        self.write(store, &mut batch, &bar, &mut counts)?;
        bar.set_position(lines.bytes_read());
        bar.abandon();
        Ok(counts)
    }

    fn record(
        &self,
        fields: Fields,
        privileges: &mut Privileges,
    ) -> std::result::Result<Option<ImportRecord>, String> {
        match self.from {
            None => record::read(fields),
            Some(System::Django) => systems::django(fields, privileges),
            Some(System::Pocketbase) => systems::pocketbase(fields).map(Some),
            Some(System::BetterAuth) => systems::better_auth(fields).map(Some),
            Some(System::TowerSessions) => systems::tower_sessions(fields).map(Some),
        }
    }

    /// Writes a batch, and reports each record that is refused.
    fn write(
        &self,
        store: &Store,
        batch: &mut Vec<(u64, ImportRecord)>,
        bar: &ProgressBar,
        counts: &mut Counts,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (lines, records): (Vec<u64>, Vec<ImportRecord>) = batch.drain(..).unzip();
        for (line, result) in lines.into_iter().zip(store.import(records)?) {
            match result {
                Ok(Imported::Created) => counts.created += 1,
                Ok(_) => counts.existing += 1,
                Err(error) => self.refuse(bar, line, &error.to_string(), counts),
            }
        }
        Ok(())
    }

    fn refuse(&self, bar: &ProgressBar, line: u64, what: &str, counts: &mut Counts) {
        counts.refused += 1;
        bar.suspend(|| note(&format!("{}:{line}: {what}", self.path.display())));
    }
}

/// A copy of the store in a private directory beside it, which is deleted with this value.
struct Copy(PathBuf);

impl Copy {
    fn of(context: &Context, store: &Path) -> Result<Self> {
        let mut directory = store.as_os_str().to_owned();
        directory.push(format!(".dry-run-{}", std::process::id()));
        let directory = PathBuf::from(directory);
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|error| Failure::io("the directory of the copy cannot be created", &error))?;
        let copy = Self(directory);
        context.writing("import.dry-run")?.backup(copy.file(), |_| ())?;
        Ok(copy)
    }

    fn file(&self) -> PathBuf {
        self.0.join("copy.db")
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            note(&format!("gatepost: delete {}, which is a copy: {error}", self.0.display()));
        }
    }
}
