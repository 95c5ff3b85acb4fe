//! What a command prints: rows as a table for people, or JSON lines for programs.
//!
//! Both come from the same serialised records of the library. Times, which the library serialises
//! as milliseconds, are printed as RFC 3339 in UTC in both.

use std::io::{self, ErrorKind, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use gatepost::{Secret, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::failure::{Exit, Failure, Result};

/// The rows of a table that are aligned with each other. A longer list is printed in such pieces,
/// so that the memory it takes does not grow with it.
const ROWS_PER_TABLE: usize = 500;

/// The first and the last time that RFC 3339 can write, whose years have four digits.
const RFC_3339_MS: [i64; 2] = [-62_167_219_200_000, 253_402_300_799_999];

/// What a person reads in the place of the end of time: no wait ends the lock.
const UNTIL_UNLOCKED: &str = "an administrator unlocks the user";

/// The fields of a record that a person reads first; the others follow by their names.
const FIRST: &[&str] = &["id", "name", "username", "key"];

/// Standard output, in one of two forms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints a list: as JSON, every row whole; as a table, these columns of each.
    pub(crate) fn list<T: Serialize>(
        self,
        columns: &[&str],
        rows: impl IntoIterator<Item = Found<T>>,
    ) -> Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut block = Vec::new();
        let mut is_empty = true;
        for row in rows {
            let row = value(&row?)?;
            is_empty = false;
            if self.json {
                write_line(&mut out, &one_line(&row))?;
                continue;
            }
            block.push(row);
            if block.len() == ROWS_PER_TABLE {
                write_table(&mut out, columns, &block)?;
                block.clear();
            }
        }
        if !block.is_empty() {
            write_table(&mut out, columns, &block)?;
        }
        read(out.flush())?;
        if is_empty && !self.json && io::stdout().is_terminal() {
            note("There is nothing to list.");
        }
        Ok(())
    }

    /// Prints one record: as JSON on one line, or each of its fields on a line.
    pub(crate) fn record(self, record: &impl Serialize) -> Result<()> {
        let record = value(record)?;
        let mut out = io::stdout().lock();
        match (&record, self.json) {
            (Value::Object(fields), false) => write_fields(&mut out, fields),
            _ => write_line(&mut out, &one_line(&record)),
        }
    }

    /// Prints that something was done: a sentence, or a JSON object.
    pub(crate) fn done(self, sentence: &str, record: &impl Serialize) -> Result<()> {
        let line = if self.json { one_line(&value(record)?) } else { printable(sentence) };
        write_line(&mut io::stdout().lock(), &line)
    }

    /// Prints a text alone on its line, or in JSON as the value of `name`.
    pub(crate) fn text(self, name: &str, text: &str) -> Result<()> {
        let line = if self.json { one_line(&json!({ name: text })) } else { text.to_owned() };
        write_line(&mut io::stdout().lock(), &line)
    }

    /// Prints a text of several lines as it is.
    pub(crate) fn page(self, text: &str) -> Result<()> {
        read(io::stdout().lock().write_all(text.as_bytes()))
    }

    /// Prints a secret, which is not stored and so is shown this one time: alone on standard
    /// output, with `about` on standard error; or as the member `name` of the record.
    ///
    /// If it cannot be printed it is lost, also where only the reader is gone: the caller makes
    /// [`Failure::not_shown`] of the error.
    pub(crate) fn secret(
        self,
        about: &str,
        name: &str,
        secret: &Secret,
        mut record: Value,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.json {
            note(about);
            return writeln!(out, "{}", secret.expose());
        }
        if let Value::Object(fields) = &mut record {
            fields.insert(name.to_owned(), secret.expose().into());
        }
        writeln!(out, "{}", one_line(&with_times(record)))
    }

    /// As [`Output::secret`], for several: one on each line.
    pub(crate) fn secrets(
        self,
        about: &str,
        name: &str,
        secrets: &[Secret],
        mut record: Value,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.json {
            note(about);
            return secrets.iter().try_for_each(|one| writeln!(out, "{}", one.expose()));
        }
        if let Value::Object(fields) = &mut record {
            fields.insert(name.to_owned(), secrets.iter().map(Secret::expose).collect());
        }
        writeln!(out, "{}", one_line(&with_times(record)))
    }
}

/// One row of a list of the library, or its error.
pub(crate) type Found<T> = std::result::Result<T, gatepost::Error>;

/// Prints a sentence for a person to standard error.
pub(crate) fn note(sentence: &str) {
    // If standard error is closed, no person reads it.
    let _ = writeln!(io::stderr(), "{}", printable(sentence));
}

/// Prints a picture of several lines for a person to standard error.
pub(crate) fn picture(lines: &str) {
    // As for a note.
    let _ = writeln!(io::stderr(), "{lines}");
}

/// The record as JSON, with its times in RFC 3339.
fn value(record: &impl Serialize) -> Result<Value> {
    serde_json::to_value(record).map(with_times).map_err(|error| {
        Failure::new(Exit::Unavailable, format!("a record has no form in JSON: {error}"), "")
    })
}

fn with_times(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| time(name, value)).collect()
        }
        Value::Array(items) => items.into_iter().map(with_times).collect(),
        other => other,
    }
}

fn time(name: String, value: Value) -> (String, Value) {
    let value = match value.as_i64().filter(|_| is_time(&name)) {
        Some(millis) => Value::String(rfc_3339(Timestamp::from_millis(millis))),
        None => with_times(value),
    };
    (name, value)
}

/// The time as RFC 3339 in UTC. One that this form cannot write is the first or the last that it
/// can, so that a program can read every time.
pub(crate) fn rfc_3339(at: Timestamp) -> String {
    let [first, last] = RFC_3339_MS;
    Timestamp::from_millis(at.as_millis().clamp(first, last)).to_string()
}

/// The end of a lock, as a person reads it.
pub(crate) fn lock_end(at: Timestamp) -> String {
    if at == Timestamp::MAX { UNTIL_UNLOCKED.to_owned() } else { rfc_3339(at) }
}

/// Whether a field of this name is a time.
fn is_time(name: &str) -> bool {
    matches!(name, "at" | "since") || name.ends_with("_at") || name.ends_with("_until")
}

fn write_table(out: &mut impl Write, columns: &[&str], rows: &[Value]) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|name| name.replace('_', " ").to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|name| cell(row.get(name).unwrap_or(&Value::Null))));
    }
    for line in table.lines() {
        write_line(out, line.trim())?;
    }
    Ok(())
}

fn write_fields(out: &mut impl Write, fields: &Map<String, Value>) -> Result<()> {
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let is_name = |name: &String| FIRST.contains(&name.as_str());
    let (first, rest): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| is_name(name));
    for (name, value) in first.into_iter().chain(rest) {
        let is_endless = name == "locked_out_until" && *value == rfc_3339(Timestamp::MAX);
        let text = if is_endless { UNTIL_UNLOCKED.to_owned() } else { cell(value) };
        write_line(out, &format!("{:width$}  {text}", name.replace('_', " ")))?;
    }
    Ok(())
}

/// A value as a person reads it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => printable(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            let known = fields.iter().filter(|(_, value)| !value.is_null());
            let pairs = known.map(|(name, value)| format!("{name} {}", cell(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A value as JSON on one line. A terminal may show it, so that what [`is_plain`] refuses is
/// escaped; outside of its strings, JSON has none of it.
pub(crate) fn one_line(value: &Value) -> String {
    let text = value.to_string();
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            line.push(c);
        } else {
            let units = c.encode_utf16(&mut [0; 2]).to_vec();
            line.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    line
}

/// The text without what could move the cursor of a terminal, turn the direction of a line, or hide
/// in it.
pub(crate) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            plain.push(c);
        } else {
            plain.extend(c.escape_unicode());
        }
    }
    plain
}

/// Whether a character shows as itself: by the table of the standard library, which escapes
/// controls, formats (the Unicode category Cf) and what is no character, and besides them quotes,
/// backslashes and the wide spaces.
fn is_plain(c: char) -> bool {
    let is_space = c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    // After a letter, so that a mark that joins one is not escaped.
    let is_shown = || ['a', c].iter().collect::<String>().escape_debug().count() == 2;
    is_space || matches!(c, '"' | '\'' | '\\') || is_shown()
}

fn write_line(out: &mut impl Write, line: &str) -> Result<()> {
    read(writeln!(out, "{line}"))
}

/// The result of writing to the output; a reader that is gone is no failure.
pub(crate) fn read(written: io::Result<()>) -> Result<()> {
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::NotRead,
        _ => Failure::new(
            Exit::Unavailable,
            format!("standard output cannot be written: {error}"),
            "What the command has changed stays changed.",
        ),
    })
}

/// The exit code of a command whose answer it is: the answer is the same if its text is not read.
pub(crate) fn answered(printed: Result<()>, answer: Exit) -> Result<Exit> {
    match printed {
        Ok(()) | Err(Failure::NotRead) => Ok(answer),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_a_record_is_rfc_3339() {
        let record = json!({
            "at": 0, "expires_at": null, "locked_out_until": 1, "rows": 5, "expiry_ms": 7,
            "inner": [{ "last_seen_at": 1_767_603_600_000_i64 }],
        });
        let expected = json!({
            "at": "1970-01-01T00:00:00.000Z", "expires_at": null,
            "locked_out_until": "1970-01-01T00:00:00.001Z", "rows": 5, "expiry_ms": 7,
            "inner": [{ "last_seen_at": "2026-01-05T09:00:00.000Z" }],
        });
        assert_eq!(with_times(record), expected);
    }

    /// Once the end of time was printed as `9223372036854775807 ms`, and the year 10000 signed.
    #[test]
    fn a_time_beyond_rfc_3339_is_the_last_or_the_first_one_that_it_can_write() {
        let (first, last) = ("0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z");
        let [first_ms, last_ms] = RFC_3339_MS;
        let check = |millis: i64, expect: &str| {
            let record = with_times(json!({ "locked_out_until": millis }));
            let text = record["locked_out_until"].as_str().unwrap();
            assert_eq!(text, expect, "{millis}");
            let read = gatepost::chrono::DateTime::parse_from_rfc3339(text).unwrap();
            assert_eq!(read.timestamp_millis(), millis.clamp(first_ms, last_ms));
        };
        check(i64::MAX, last);
        check(last_ms + 1, last); // The year 10000.
        check(last_ms, last);
        check(last_ms - 1, "9999-12-31T23:59:59.998Z");
        check(first_ms + 1, "0000-01-01T00:00:00.001Z");
        check(first_ms, first);
        check(first_ms - 1, first);
        check(i64::MIN, first);
    }

    /// Once that of a second factor was printed as milliseconds.
    #[test]
    fn every_field_of_the_library_that_is_a_time_has_the_name_of_one() {
        // One is of a type that no command prints, and one is no time and printed by another name.
        let others = ["newest_write", "anchored_at"];
        let face = include_str!("../../tests/it/golden/public_face.txt");
        let mut times = 0;
        for field in face.lines().filter_map(|line| line.strip_prefix("    pub ")) {
            let Some((name, of)) = field.split_once(": ") else { continue };
            if !others.contains(&name) && !name.contains(' ') {
                let expected = ["Timestamp,", "Option<Timestamp>,"].contains(&of);
                assert_eq!(is_time(name), expected, "{field}");
                times += usize::from(expected);
            }
        }
        assert!(times >= 40, "only {times} were found");
    }

    #[test]
    fn stored_text_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{9b}b\nc\u{202e}d\u{2067}"), {
            "a\\u{1b}[2J\\u{9b}b\\u{a}c\\u{202e}d\\u{2067}"
        });
        for plain in ["Ada Lovelace, Äöß 日本", "山田\u{3000}太郎", "e\u{301} \"it's\" \\ 🙂"]
        {
            assert_eq!(printable(plain), plain);
        }
        // Once these were printed as they are.
        for hidden in ['\u{61c}', '\u{ad}', '\u{200b}', '\u{2060}', '\u{feff}', '\u{e0041}'] {
            assert_eq!(printable(&hidden.to_string()), hidden.escape_unicode().to_string());
        }
    }

    /// Once JSON had the controls above U+007E as they are.
    #[test]
    fn stored_text_cannot_steer_a_terminal_by_json() {
        let text = "a\u{1b}\u{7f}\u{9b}2J\u{202e}\u{61c}\u{e0041} \"ä\" \\ 日本";
        let line = one_line(&json!({ "name": text }));
        let expected = concat!(
            r#"{"name":"a\u001b\u007f\u009b2J\u202e\u061c\udb40\udc41 "#,
            r#"\"ä\" \\ 日本"}"#
        );
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["name"], text);
    }

    #[test]
    fn a_cell_is_one_short_text() {
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!([])), "-");
        assert_eq!(cell(&json!(["a", "b"])), "a,b");
        assert_eq!(cell(&json!({ "branch": "x", "ip": null })), "branch x");
        assert_eq!(cell(&json!("")), "\"\"");
    }
}
