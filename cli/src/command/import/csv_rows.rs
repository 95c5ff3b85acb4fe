//! The rows of a CSV file, each of a bounded length: a quotation mark that is not closed would make
//! one row of the rest of the file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};

use serde_json::{Map, Value};

use super::fields::Fields;
use super::lines::{LINE_MAX_BYTES, Numbered, damaged};
use crate::failure::Result;

pub(super) struct Rows {
    file: csv::Reader<Bounded>,
    headings: Vec<String>,
}

impl Rows {
    pub(super) fn of(file: File) -> Result<Self> {
        let bounded = Bounded { file, left: LINE_MAX_BYTES, quotes: 0, is_ended: false };
        let mut file = csv::ReaderBuilder::new().flexible(false).from_reader(bounded);
        let read =
            file.headers().map(|row| row.iter().map(|name| name.trim().to_owned()).collect());
        let headings: Vec<String> = read.map_err(|error| unreadable(&file, 1, &error))?;
        let mut seen = HashSet::new();
        match headings.iter().find(|name| !seen.insert(*name)) {
            Some(name) => Err(damaged(&format!("the heading {name:?} is there twice"))),
            None => Ok(Self { file, headings }),
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.file.position().byte()
    }

    pub(super) fn next(&mut self) -> Result<Option<Numbered>> {
        let mut row = csv::StringRecord::new();
        let line = self.file.position().line();
        self.file.get_mut().left = LINE_MAX_BYTES;
        match self.file.read_record(&mut row) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = row.position().map_or(line, csv::Position::line);
                let fields = match self.is_unclosed(&row) {
                    true => Err("a quotation mark is not closed".to_owned()),
                    false => Ok(self.fields(&row)),
                };
                Ok(Some((line, fields)))
            }
            Err(error) if error.is_io_error() => Err(unreadable(&self.file, line, &error)),
            Err(_) if self.is_unclosed(&row) => {
                Ok(Some((line, Err("a quotation mark is not closed".to_owned()))))
            }
            Err(error) => Ok(Some((line, Err(error.to_string())))),
        }
    }

    /// Whether the last cell is the rest of the file, because a quotation mark is missing.
    fn is_unclosed(&self, row: &csv::StringRecord) -> bool {
        let Bounded { quotes, is_ended, .. } = self.file.get_ref();
        let last = row.iter().next_back().unwrap_or_default();
        *is_ended && quotes % 2 == 1 && last.contains('\n')
    }

    fn fields(&self, row: &csv::StringRecord) -> Fields {
        let cells = self.headings.iter().cloned().zip(row.iter().map(Value::from));
        Fields::new(cells.collect::<Map<String, Value>>())
    }
}

fn unreadable(
    file: &csv::Reader<Bounded>,
    line: u64,
    error: &csv::Error,
) -> crate::failure::Failure {
    if file.get_ref().left > 0 {
        return damaged(&error.to_string());
    }
    damaged(&format!(
        "the record that begins in line {line} is longer than 1 MiB: is a quotation mark missing?"
    ))
}

/// A file of which only so many bytes are read until more are allowed. The reader of CSV reads
/// ahead, but by a few kibibytes.
struct Bounded {
    file: File,
    left: u64,
    quotes: u64,
    is_ended: bool,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.file.by_ref().take(self.left).read(buffer)?;
        self.left -= read as u64;
        self.is_ended = read == 0;
        let quotes = buffer.iter().take(read).filter(|byte| **byte == b'"').count();
        self.quotes += quotes as u64;
        Ok(read)
    }
}
