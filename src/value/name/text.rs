//! Text from outside the library: which characters are refused, and when two texts are one name.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::characters::{is_bidi_control, is_default_ignorable, is_hidden};
use crate::error::{Error, Result};
use crate::value::limits::FOLDED_MAX_BYTES;

/// Checks one line that may be empty, such as a first name.
///
/// `what` is the message of the error, such as "the first name is too long or has control
/// characters".
pub(crate) fn text(value: &str, what: &'static str, max_bytes: usize) -> Result<String> {
    if value.len() > max_bytes || value.chars().any(breaks_a_line) {
        return Err(Error::invalid(what));
    }
    Ok(value.to_owned())
}

/// Checks one line with a visible character, such as the name of a branch, and returns it
/// [`trimmed`].
pub(crate) fn required_text(value: &str, what: &'static str, max_bytes: usize) -> Result<String> {
    let value = trimmed(&text(value.trim(), what, max_bytes)?);
    // Composing may lengthen a text, and the stored name must be accepted again.
    if value.len() > max_bytes || value.chars().all(|c| c.is_whitespace() || is_hidden(c)) {
        return Err(Error::invalid(what));
    }
    Ok(value)
}

/// The text without white space around it, and composed (NFC): as names are stored, so that what
/// was typed on one keyboard is found from another.
pub(crate) fn trimmed(value: &str) -> String {
    value.trim().nfc().collect()
}

/// Checks several lines, such as a description: line feeds and tabs are allowed.
pub(crate) fn prose(value: &str, what: &'static str, max_bytes: usize) -> Result<String> {
    let refused = |c: char| !matches!(c, '\n' | '\t') && breaks_a_line(c);
    if value.len() > max_bytes || value.chars().any(refused) {
        return Err(Error::invalid(what));
    }
    Ok(value.to_owned())
}

/// A `T` from JSON text that the host has set and the file has stored.
#[cfg(feature = "serde")]
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    json: &str,
    what: &'static str,
) -> Result<T> {
    serde_json::from_str(json).map_err(|_| Error::invalid(what))
}

/// The form in which names are compared: two texts are the same name if their folded forms are
/// equal.
///
/// Compatibility caseless matching (Unicode 3.13, D146), composed at the end. The caller bounds
/// the length first; the result may be much longer than `value`.
pub(crate) fn folded(value: &str) -> String {
    folding(value).collect()
}

fn folding(value: &str) -> impl Iterator<Item = char> {
    value.nfd().default_case_fold().nfkd().default_case_fold().nfkc()
}

/// [`folded`], for a secret: a string that grows would leave copies of its beginning in memory.
pub(crate) fn folded_secret(secret: &str) -> Zeroizing<String> {
    let bytes = folding(secret).map(char::len_utf8).sum();
    let mut text = Zeroizing::new(String::with_capacity(bytes));
    text.extend(folding(secret));
    text
}

/// The form in which names are searched. Looser than [`folded`], as it finds names and does not
/// compare them: all forms of i are one, with and without a dot in capitals or small letters, and
/// joiners, soft hyphens and other characters that are not drawn do not count.
pub(crate) fn searched(value: &str) -> String {
    let folded = folded(value);
    let mut form = String::with_capacity(folded.len());
    for c in folded.chars() {
        match c {
            '\u{307}' if form.ends_with('i') => {}
            '\u{131}' => form.push('i'),
            '\n' => form.push(c),
            c if is_default_ignorable(c) || is_hidden(c) => {}
            c => form.push(c),
        }
    }
    form
}

/// [`folded`], refused if it is longer than its bound, or if folding adds spaces or invisible
/// characters: a single acute accent, for example, becomes a space and a combining mark.
pub(crate) fn folded_name(value: &str, what: &'static str) -> Result<String> {
    let key = folded(value);
    let spaces = |text: &str| text.bytes().filter(|byte| *byte == b' ').count();
    let adds_hidden = spaces(&key) != spaces(value) || key.chars().any(is_hidden);
    if key.is_empty() || key.len() > FOLDED_MAX_BYTES || adds_hidden {
        return Err(Error::invalid(what));
    }
    Ok(key)
}

/// Whether a text has a space that a reader overlooks: at an end, two in a row, or any space other
/// than U+0020.
pub(crate) fn has_loose_space(value: &str) -> bool {
    value.starts_with(' ')
        || value.ends_with(' ')
        || value.contains("  ")
        || value.chars().any(|c| c.is_whitespace() && c != ' ')
}

/// Whether this is a control, a line separator or a bidi control: with these, one line of a log or
/// entry of a list can look like another.
pub(crate) fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{2029}') || is_bidi_control(c)
}

/// One line for the audit log: characters that [break a line](breaks_a_line) become `\u{…}`, and a
/// backslash becomes two.
pub(crate) fn escaped(value: &str) -> String {
    let mut line = String::with_capacity(value.len());
    for c in value.chars() {
        if breaks_a_line(c) {
            line.extend(c.escape_unicode());
        } else if c == '\\' {
            line.push_str("\\\\");
        } else {
            line.push(c);
        }
    }
    line
}

/// The first `max_bytes` of a text, or fewer, so that no character is cut.
pub(crate) fn truncated(value: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(value.len());
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    value.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_same(one: &str, two: &str) {
        assert_eq!(folded(one), folded(two));
    }

    #[test]
    fn case_pairs_and_compatibility_forms_fold_together() {
        check_same("Ada", "ADA");
        check_same("Ada", "ａｄａ");
        check_same("straße", "STRASSE");
        check_same("ΣΊΣΥΦΟΣ", "σίσυφος");
        check_same("ﬁ", "FI");
        check_same("é", "e\u{301}");
        check_same("Å", "\u{212b}");
        check_same("ᾳ\u{301}", "\u{1fb4}");
        assert_ne!(folded("ada"), folded("аda"));
    }

    #[test]
    fn lines_and_prose() {
        assert!(text("", "what", 3).is_ok());
        assert!(text("abc", "what", 3).is_ok());
        assert!(text("abcd", "what", 3).is_err());
        assert!(text("a\nb", "what", 3).is_err());
        assert!(text("a\u{202e}", "what", 9).is_err());
        assert!(prose("a\n\tb", "what", 9).is_ok());
        assert!(prose("a\rb", "what", 9).is_err());
        for blank in ["", " ", "\u{200b}", "\u{3164} "] {
            assert!(required_text(blank, "what", 9).is_err(), "{blank:?}");
        }
    }

    /// Once a name with a space at its end was not found by the name that a list shows.
    #[test]
    fn a_name_is_stored_without_white_space_around_it_and_composed() {
        for typed in ["Orl\u{e9}ans", " Orle\u{301}ans\u{3000}", "\u{a0}Orl\u{e9}ans\r\n"] {
            assert_eq!(required_text(typed, "what", 13).unwrap(), "Orl\u{e9}ans", "{typed:?}");
        }
        // Three bytes that compose to six.
        assert!(required_text("\u{958}", "what", 6).is_ok());
        assert!(required_text("\u{958}", "what", 5).is_err());
        assert!(required_text("a\nb", "what", 9).is_err());
    }

    /// Marks of direction move the neighbours of a name in a list; joiners do not.
    #[test]
    fn a_shown_text_may_have_joiners_and_no_marks_of_direction() {
        for mark in ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202e}', '\u{2067}'] {
            let marked = format!("Y{mark}ork");
            assert!(required_text(&marked, "what", 64).is_err(), "{mark:?}");
            assert!(text(&marked, "what", 64).is_err(), "{mark:?}");
            assert!(prose(&marked, "what", 64).is_err(), "{mark:?}");
        }
        for joined in ["\u{645}\u{6cc}\u{200c}\u{62e}", "\u{1f468}\u{200d}\u{1f469}"] {
            assert!(required_text(joined, "what", 64).is_ok());
        }
    }

    #[test]
    fn a_search_finds_what_identity_keeps_apart() {
        for (name, typed) in [
            ("\u{130}stanbullu", "istanbullu"),
            ("istanbullu", "\u{130}STANBULLU"),
            ("Y\u{131}ld\u{131}z", "YILDIZ"),
            ("\u{645}\u{6cc}\u{200c}\u{62e}", "\u{645}\u{6cc}\u{62e}"),
            ("co\u{ad}op", "coop"),
        ] {
            assert_eq!(searched(name), searched(typed), "{name}");
        }
        assert_eq!(searched("a\nb"), "a\nb");
        assert_ne!(folded("\u{130}rem"), folded("irem"));
    }

    #[test]
    fn a_folded_secret_never_grows() {
        for secret in ["", "hunter2", &"\u{fdfa}".repeat(99), &"Ab\u{130}".repeat(500)] {
            let folded = folded_secret(secret);
            assert_eq!(folded.as_str(), super::folded(secret));
            assert_eq!(folded.capacity(), folded.len(), "{secret:?}");
        }
    }

    #[test]
    fn nothing_forges_a_line_of_the_log() {
        assert_eq!(escaped("a\r\nb\\n\u{202e}"), "a\\u{d}\\u{a}b\\\\n\\u{202e}");
        assert_eq!(truncated("aé", 2), "a");
        assert_eq!(truncated("aé", 9), "aé");
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(value in "\\PC{0,16}") {
            let once = folded(&value);
            prop_assert_eq!(folded(&once), once);
        }

        #[test]
        fn upper_and_lower_case_fold_together(value in "[a-zà-öø-ýα-ωа-я]{0,12}") {
            prop_assert_eq!(folded(&value.to_uppercase()), folded(&value));
        }

        #[test]
        fn an_escaped_text_has_no_break(value in any::<String>()) {
            prop_assert!(!escaped(&value).chars().any(breaks_a_line));
        }

        #[test]
        fn no_text_panics(value in any::<String>(), max in 0_usize..40) {
            let _ = required_text(&value, "what", max);
            let _ = prose(&value, "what", max);
            let _ = folded_name(&value, "what");
            prop_assert!(truncated(&value, max).len() <= max);
        }
    }
}
