//! JSON documents of the host, which its own JSON library must be able to read again.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::value::limits::JSON_DEPTH_MAX;

/// A JSON document whose size is checked, and what RFC 8259 leaves to each reader (sections 8.2, 9,
/// 6 and 4): no escape of half a character, no deep nesting, no number beyond a double, no object
/// with one name twice. The SQL statement that stores it checks the syntax.
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
                "the JSON has half a character (a lone \\u surrogate), more than 127 levels, a \
                 number that no double can hold, or an object with the same name twice",
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
    // The names of each object and array around this place; an array has none.
    let mut levels: Vec<BTreeSet<String>> = Vec::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => {
                let Some((text, after)) = string(rest) else { return false };
                let is_name = after.trim_start().starts_with(':');
                if is_name && levels.last_mut().is_some_and(|names| !names.insert(text)) {
                    return false;
                }
                rest = after;
                continue;
            }
            '[' | '{' => levels.push(BTreeSet::new()),
            ']' | '}' => drop(levels.pop()),
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
        if levels.len() > JSON_DEPTH_MAX {
            return false;
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    true
}

/// The string at the start of the text, without its escapes, and what follows it; `None` if the
/// string does not end, or escapes a surrogate without its other half.
fn string(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut read = String::new();
    loop {
        let (plain, special) = rest.split_at(rest.find(['"', '\\'])?);
        read.push_str(plain);
        if let Some(after) = special.strip_prefix('"') {
            return Some((read, after));
        }
        rest = match unit(special) {
            Some((high @ 0xd800..=0xdbff, after)) => {
                let (low, after) = unit(after)?;
                read.push_str(&String::from_utf16(&[high, low]).ok()?);
                after
            }
            Some((one, after)) => {
                read.push_str(&String::from_utf16(&[one]).ok()?);
                after
            }
            // Another escape: the backslash and what it escapes.
            None => {
                let escaped = special.strip_prefix('\\')?;
                let first = escaped.chars().next()?;
                read.push(meaning(first));
                escaped.get(first.len_utf8()..)?
            }
        };
    }
}

/// What a backslash and this letter mean in a string of JSON.
const fn meaning(escaped: char) -> char {
    match escaped {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
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

    /// Of two values, one library keeps the first and another one the last.
    #[test]
    fn an_object_with_the_same_name_twice_is_refused() {
        for json in [
            r#"{"role": "a", "role": "b"}"#,
            "{\"role\": 1,\"of\":{\"role\":2},\"role\"\t\n:3}",
            r#"[{"a": [{"till": 1, "till": 2}]}]"#,
            r#"{"role": 1, "\u0072ol\u0065": 2}"#,
            r#"{"\ud83d\ude00": 1, "😀": 2}"#,
            r#"{"a\/\n\"\\": 1, "a/\u000a\u0022\u005c": 2}"#,
            r#"{"": 1, "": 2}"#,
        ] {
            assert!(!is_accepted(json) && is_read(json), "{json}");
        }
        for json in [
            r#"{"role": "role", "of": {"role": "role", "Role": ["role", "role"]}}"#,
            r#"[{"a": 1}, {"a": 1}, {"b": {"a": 1}, "c": {"a": 1}, "a": ":", "e": "a"}]"#,
            r#"{"\\u0061": 1, "a": 2, "n": 3, "\n": 4, "é": 5, "e\u0301": 6}"#,
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
