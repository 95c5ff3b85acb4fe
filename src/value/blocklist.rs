//! The list of common passwords, which an attacker guesses first.
//!
//! `blocklist.txt` has every common password of eight characters or more from two published lists
//! (see THIRD-PARTY.md): ASCII in lower case, one on each line, sorted by bytes. It is compiled
//! into the program as text: loading it costs nothing, and a lookup about fourteen comparisons.

use std::cmp::Ordering;

use super::name::folded_secret;

const LIST: &str = include_str!("blocklist.txt");

/// Whether the whole of `password` is a common password, in any case. A longer password that
/// contains one is accepted (NIST SP 800-63B-4, 3.1.1.2; ASVS 6.2.4).
pub(crate) fn is_common(password: &str) -> bool {
    contains(LIST, &folded_secret(password))
}

/// Finds a line of a sorted text by bisecting its bytes.
fn contains(sorted: &str, wanted: &str) -> bool {
    let mut rest = sorted.as_bytes();
    while !rest.is_empty() {
        let (left, right) = rest.split_at(rest.len() / 2);
        let start = left.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let end = right.iter().position(|&byte| byte == b'\n').map(|at| left.len() + at);
        let end = end.unwrap_or(rest.len());
        let line = rest.get(start..end).unwrap_or_default();
        rest = match wanted.as_bytes().cmp(line) {
            Ordering::Equal => return true,
            Ordering::Less => rest.get(..start.saturating_sub(1)),
            Ordering::Greater => rest.get(end + 1..),
        }
        .unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::limits::PASSWORD_MIN_CHARS;

    #[test]
    fn the_list_is_large_sorted_folded_and_of_legal_length() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert!(lines.len() >= 10_000, "{}", lines.len());
        assert!(lines.is_sorted_by(|one, next| one < next));
        for line in lines {
            assert!(line.chars().count() >= PASSWORD_MIN_CHARS, "{line:?}");
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
            assert_eq!(*folded_secret(line), line);
            assert_eq!(line.trim(), line);
        }
        assert!(!LIST.contains('\r'));
    }

    #[test]
    fn every_entry_is_found_in_any_case() {
        for line in LIST.lines() {
            assert!(is_common(line), "{line:?}");
            assert!(is_common(&line.to_uppercase()), "{line:?}");
        }
    }

    #[test]
    fn no_entry_is_found_inside_another_text() {
        for line in LIST.lines() {
            assert!(!is_common(&format!("{line} and the rest of it")), "{line:?}");
            assert!(!is_common(&format!("\u{1f40e}{line}")), "{line:?}");
        }
    }

    #[test]
    fn common_passwords_are_on_the_list() {
        for password in ["password", "12345678", "Qwerty123", "ILOVEYOU", "1q2w3e4r5t"] {
            assert!(is_common(password), "{password}");
        }
        // Full-width letters are the same keys of another keyboard.
        assert!(is_common("\u{ff50}\u{ff41}\u{ff53}\u{ff53}word"));
    }

    #[test]
    fn texts_that_are_no_line_are_not_found() {
        for text in ["", "\n", "password\n", "password\npassword1", "zzzzzzzzzzzz", "!"] {
            assert!(!is_common(text), "{text:?}");
        }
        assert!(!contains("", ""));
        assert!(!contains("", "a"));
    }

    proptest! {
        #[test]
        fn bisecting_finds_what_reading_every_line_finds(
            mut lines in prop::collection::btree_set("[a-c]{1,4}", 0..40),
            wanted in "[a-c]{1,4}",
        ) {
            let text = |lines: &std::collections::BTreeSet<String>| {
                lines.iter().map(|line| format!("{line}\n")).collect::<String>()
            };
            prop_assert_eq!(contains(&text(&lines), &wanted), lines.contains(&wanted));
            lines.insert(wanted.clone());
            prop_assert!(contains(&text(&lines), &wanted));
            prop_assert!(contains(text(&lines).trim_end(), &wanted));
        }
    }
}
