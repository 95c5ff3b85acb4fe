//! The details of rows that other code reads again, which never change, and details of many words.

use crate::value::limits::EVENT_DETAIL_MAX_BYTES;
use crate::value::time::Timestamp;

/// A login on a device on which the user had not logged in before; the trust of the device may
/// follow.
pub(crate) const NEW_DEVICE: &str = "new device";
/// A confirmation that removed a password.
pub(crate) const PASSWORD_REMOVED: &str = "password removed";

/// The detail of a login: whether the device is new to the user, and until when the login trusts
/// it.
pub(crate) fn of_device(is_new: bool, trusted_until: Option<Timestamp>) -> Option<String> {
    match (is_new, trusted_until) {
        (false, None) => None,
        (true, None) => Some(NEW_DEVICE.to_owned()),
        (false, Some(until)) => Some(format!("trusted until {until}")),
        (true, Some(until)) => Some(format!("{NEW_DEVICE}, trusted until {until}")),
    }
}

/// Whether this detail of a login says that the device was new.
pub(crate) fn says_new_device(detail: &str) -> bool {
    let rest = detail.strip_prefix(NEW_DEVICE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
}

/// The words in lines, each of which is the detail of one row: a detail is cut at 1,024 bytes, and
/// so no word is lost. No word is longer than that, nor changed by escaping.
pub(crate) fn in_lines(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= EVENT_DETAIL_MAX_BYTES => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_detail_is_cut() {
        assert!(in_lines(&[]).is_empty());
        assert_eq!(in_lines(&["-b".into(), "+a".into()]), ["-b +a"]);
        // Sixteen words of 63 bytes, each but the first after a space: 1,023 bytes.
        let words: Vec<String> = (10..50).map(|n| format!("+{n}{}", "a".repeat(60))).collect();
        let lines = in_lines(&words);
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [1_023, 1_023, 511]);
        assert_eq!(lines.join(" "), words.join(" "));
        let two = ["a".repeat(500), "b".repeat(523), "c".into()];
        assert_eq!(in_lines(&two), [two[..2].join(" "), "c".into()]);
    }
}
