//! The lines of a file, one at a time, so that memory does not grow with the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Format;
use super::csv_rows::Rows;
use super::fields::Fields;
use super::once::{self, Unread};
use crate::failure::{Exit, Failure, Result};

/// Longer than any record within the bounds of the library.
pub(super) const LINE_MAX_BYTES: u64 = 1_048_576;

pub(super) struct Lines {
    bytes: u64,
    reader: Reader,
}

enum Reader {
    Json { file: BufReader<File>, line: u64, bytes_read: u64 },
    Csv(Box<Rows>),
}

/// The number of a line, and its fields or why it has none.
pub(super) type Numbered = (u64, std::result::Result<Fields, String>);

impl Lines {
    pub(super) fn open(path: &Path, format: Option<Format>) -> Result<Self> {
        let unreadable = |error: &std::io::Error| {
            let what = format!("{} cannot be read: {error}", path.display());
            let (exit, advice) = match error.kind() {
                std::io::ErrorKind::NotFound => (Exit::NotFound, "Check the path of the file."),
                _ => (Exit::Unavailable, ""),
            };
            Failure::new(exit, what, advice)
        };
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        let bytes = file.metadata().map_err(|error| unreadable(&error))?.len();
        let is_csv = path.extension().is_some_and(|extension| extension == "csv");
        let reader = match format.unwrap_or(if is_csv { Format::Csv } else { Format::Jsonl }) {
            Format::Jsonl => Reader::Json { file: BufReader::new(file), line: 0, bytes_read: 0 },
            Format::Csv => Reader::Csv(Box::new(Rows::of(file)?)),
        };
        Ok(Self { bytes, reader })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match &self.reader {
            Reader::Json { bytes_read, .. } => *bytes_read,
            Reader::Csv(rows) => rows.bytes_read(),
        }
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self) -> Result<Option<Numbered>> {
        match &mut self.reader {
            Reader::Json { file, line, bytes_read } => loop {
                let mut text = Vec::new();
                let mut bounded = file.by_ref().take(LINE_MAX_BYTES + 1);
                let read = bounded.read_until(b'\n', &mut text);
                let read = read.map_err(|error| Failure::io("the file cannot be read", &error))?;
                if read == 0 {
                    return Ok(None);
                }
                *line += 1;
                *bytes_read += read as u64;
                if read as u64 > LINE_MAX_BYTES {
                    return Err(damaged(&format!("line {line} is longer than 1 MiB")));
                }
                // The mark of UTF-8 that programs of Windows write; CSV is read without it as well.
                if *line == 1 && text.starts_with(b"\xef\xbb\xbf") {
                    text.drain(..3);
                }
                if text.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some((*line, object(&text))));
            },
            Reader::Csv(rows) => rows.next(),
        }
    }
}

pub(super) fn damaged(what: &str) -> Failure {
    Failure::new(
        Exit::Invalid,
        what.to_owned(),
        "What was imported before stays, and is passed over when the command is given again.",
    )
}

/// The document of the host in a line of JSON, as it is written there: a parser would round its
/// numbers.
#[derive(Deserialize)]
struct Document<'l> {
    #[serde(borrow)]
    attributes: Option<&'l RawValue>,
}

/// The fields of a line of JSON. A message of the parser would repeat what is secret in it.
fn object(text: &[u8]) -> std::result::Result<Fields, String> {
    if text.trim_ascii_start().starts_with(b"[") {
        return Err("this is an array: the file must have one JSON object on each line".to_owned());
    }
    let no_object =
        |error: &serde_json::Error| format!("this is no JSON object (column {})", error.column());
    let mut fields = once::object(text).map_err(|unread| match unread {
        Unread::Twice(name) => format!("{name} is there twice"),
        Unread::Json(error) => no_object(&error),
    })?;
    if let Some(attributes) = fields.get_mut("attributes")
        && !attributes.is_string()
    {
        let read: Document = serde_json::from_slice(text).map_err(|error| no_object(&error))?;
        *attributes = read.attributes.map(RawValue::get).into();
    }
    Ok(Fields::new(fields))
}
