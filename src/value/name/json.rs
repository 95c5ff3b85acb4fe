//! JSON documents of the host, which its own JSON library must be able to read again.

use crate::error::{Error, Result};
use crate::value::limits::JSON_DEPTH_MAX;

/// A JSON document whose size is checked, and what RFC 8259 leaves to each reader (sections 8.2, 9
/// and 6): no escape of half a character, no deep nesting, no number beyond a double. The SQL
/// statement that stores it checks the syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonText(String);

impl JsonText {
    pub(crate) fn new(json: &str, what: &'static str, max_bytes: usize) -> Result<Self> {
        // SQLite reads up to the first NUL, and would accept any bytes after it.
        if json.is_empty() || json.len() > max_bytes || json.contains('\0') {
            return Err(Error::invalid(what));
        }
        if !is_portable(json) {
            return Err(Error::invalid(
                "the JSON has half a character (a lone \\u surrogate), more than 127 levels, or a \
                 number that no double can hold",
            ));
        }
        Ok(Self(json.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether every reader of JSON reads the same in this text. Says nothing of a text that is not
/// JSON.
fn is_portable(json: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => match after_string(rest) {
                Some(after) => {
                    rest = after;
                    continue;
                }
                None => return false,
            },
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '-' | '0'..='9' => {
                let is_end = |c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9');
                let (number, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
                if !number.parse::<f64>().is_ok_and(f64::is_finite) {
                    return false;
                }
                rest = after;
                continue;
            }
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return false;
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    true
}

/// What follows the string at the start of the text; `None` if the string does not end, or escapes
/// a surrogate without its other half.
fn after_string(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('"')?;
    loop {
        rest = rest.get(rest.find(['"', '\\'])?..)?;
        if let Some(after) = rest.strip_prefix('"') {
            return Some(after);
        }
        rest = match unit(rest) {
            Some((0xd800..=0xdbff, after)) => match unit(after) {
                Some((0xdc00..=0xdfff, after)) => after,
                _ => return None,
            },
            Some((0xdc00..=0xdfff, _)) => return None,
            Some((_, after)) => after,
            // Another escape: the backslash and what it escapes.
            None => {
                let escaped = rest.strip_prefix('\\')?;
                escaped.get(escaped.chars().next()?.len_utf8()..)?
            }
        };
    }
}

/// The UTF-16 unit of the `\u` escape at the start of the text, and what follows it.
fn unit(text: &str) -> Option<(u16, &str)> {
    let digits = text.strip_prefix("\\u")?;
    let (unit, after) = digits.split_at_checked(4)?;
    Some((u16::from_str_radix(unit, 16).ok()?, after))
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "SQLite's rule of what is JSON, without a store")]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    /// Accepted here and by the statement that stores it.
    fn is_accepted(json: &str) -> bool {
        thread_local!(static MEMORY: Connection = Connection::open_in_memory().unwrap());
        let sql = "SELECT json_valid(?1)";
        let is_valid = || MEMORY.with(|memory| memory.query_row(sql, [json], |row| row.get(0)));
        JsonText::new(json, "what", 16_384).is_ok() && is_valid().unwrap()
    }

    fn is_read(json: &str) -> bool {
        serde_json::from_str::<serde_json::Value>(json).is_ok()
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        for json in [
            r#"{"a": "\ud83d"}"#,
            r#"{"a": "\ude00"}"#,
            r#"{"\ud83d\ud83d": 1}"#,
            r#""\ud83d\n""#,
            r#""\ud83d""#,
            "1e999999",
            "-1e400",
            "[1, 2e308]",
            &nested(128),
            &nested(999),
        ] {
            assert!(!is_accepted(json) && !is_read(json), "{json}");
        }
        for json in [
            r#"{"a": "\ud83d\ude00", "b\\": "\\ud83d", "c": "\"[[["}"#,
            r#"["\u0041", 1.5e308, -0, 18446744073709551616, 1e-999]"#,
            "null",
            &nested(127),
        ] {
            assert!(is_accepted(json) && is_read(json), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be_read_again(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("\""), Just("\\"), Just("\\u"), Just("d83d"), Just("de00"), Just("u"),
                    Just("["), Just("]"), Just("{"), Just("}"), Just(":"), Just(","), Just("1"),
                    Just("e9"), Just("-"), Just("."), Just("e+"), Just("99"), Just(" "), Just("é"),
                    Just("true"), Just("\"a\""), Just("\t"),
                ],
                1..9,
            ),
        ) {
            let json = parts.concat();
            prop_assert!(!is_accepted(&json) || is_read(&json), "{json}");
            let value = serde_json::Value::String(json).to_string();
            prop_assert!(is_accepted(&value));
        }
    }
}
