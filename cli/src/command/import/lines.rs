//! The lines of a file, one at a time, so that memory does not grow with the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::Format;
use super::fields::Fields;
use crate::failure::{Exit, Failure, Result};

/// Longer than any record within the bounds of the library.
const LINE_MAX_BYTES: u64 = 1_048_576;

pub(super) struct Lines {
    bytes: u64,
    reader: Reader,
}

enum Reader {
    Json { file: BufReader<File>, line: u64, bytes_read: u64 },
    Csv { file: Box<csv::Reader<File>>, headings: csv::StringRecord },
}

/// The number of a line, and its fields or why it has none.
type Numbered = (u64, std::result::Result<Fields, String>);

impl Lines {
    pub(super) fn open(path: &Path, format: Option<Format>) -> Result<Self> {
        let unreadable = |error: &std::io::Error| {
            let what = format!("{} cannot be read: {error}", path.display());
            match error.kind() {
                std::io::ErrorKind::NotFound => Failure::not_found(what),
                _ => Failure::new(Exit::Unavailable, what, ""),
            }
        };
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        let bytes = file.metadata().map_err(|error| unreadable(&error))?.len();
        let is_csv = path.extension().is_some_and(|extension| extension == "csv");
        let reader = match format.unwrap_or(if is_csv { Format::Csv } else { Format::Jsonl }) {
            Format::Jsonl => Reader::Json { file: BufReader::new(file), line: 0, bytes_read: 0 },
            Format::Csv => {
                let mut file = csv::ReaderBuilder::new().flexible(false).from_reader(file);
                let headings =
                    file.headers().map_err(|error| damaged(&error.to_string()))?.clone();
                Reader::Csv { file: Box::new(file), headings }
            }
        };
        Ok(Self { bytes, reader })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match &self.reader {
            Reader::Json { bytes_read, .. } => *bytes_read,
            Reader::Csv { file, .. } => file.position().byte(),
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
                if text.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some((*line, object(&text))));
            },
            Reader::Csv { file, headings } => {
                let mut row = csv::StringRecord::new();
                let line = file.position().line();
                match file.read_record(&mut row) {
                    Ok(false) => Ok(None),
                    Ok(true) => {
                        let line = row.position().map_or(line, csv::Position::line);
                        Ok(Some((line, Ok(cells(headings, &row)))))
                    }
                    Err(error) if error.is_io_error() => Err(damaged(&error.to_string())),
                    Err(error) => Ok(Some((line, Err(error.to_string())))),
                }
            }
        }
    }
}

fn damaged(what: &str) -> Failure {
    Failure::new(
        Exit::Invalid,
        what.to_owned(),
        "What was imported before stays, and is passed over when the command is given again.",
    )
}

/// The fields of a line of JSON. A message of the parser would repeat what is secret in it.
fn object(text: &[u8]) -> std::result::Result<Fields, String> {
    if text.trim_ascii_start().starts_with(b"[") {
        return Err("this is an array: the file must have one JSON object on each line".to_owned());
    }
    serde_json::from_slice::<Map<String, Value>>(text)
        .map(Fields::new)
        .map_err(|error| format!("this is no JSON object (column {})", error.column()))
}

fn cells(headings: &csv::StringRecord, row: &csv::StringRecord) -> Fields {
    let cells = headings.iter().zip(row.iter());
    Fields::new(cells.map(|(name, cell)| (name.trim().to_owned(), cell.into())).collect())
}
