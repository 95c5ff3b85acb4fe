//! Text from outside: which characters are refused, and what makes two texts the same name.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_public_assigned;

use crate::error::{Error, Result};
use crate::value::limits::FOLDED_MAX_BYTES;

/// One line that may be empty, such as a first name.
///
/// `what` is the clause to answer with, e.g. "the first name is too long or has control
/// characters".
pub(crate) fn text(value: &str, what: &'static str, max_bytes: usize) -> Result<String> {
    if value.len() > max_bytes || value.chars().any(breaks_a_line) {
        return Err(Error::invalid(what));
    }
    Ok(value.to_owned())
}

/// One line that shows something, such as the name of a branch.
pub(crate) fn required_text(value: &str, what: &'static str, max_bytes: usize) -> Result<String> {
    let value = text(value, what, max_bytes)?;
    if value.chars().all(|c| c.is_whitespace() || is_hidden(c)) {
        return Err(Error::invalid(what));
    }
    Ok(value)
}

/// Several lines, such as a description: line feeds and tabs are allowed.
pub(crate) fn prose(value: &str, what: &'static str, max_bytes: usize) -> Result<String> {
    let refused = |c: char| !matches!(c, '\n' | '\t') && breaks_a_line(c);
    if value.len() > max_bytes || value.chars().any(refused) {
        return Err(Error::invalid(what));
    }
    Ok(value.to_owned())
}

/// A JSON document whose size is checked. Whether it is JSON, the statement that stores it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonText(String);

impl JsonText {
    pub(crate) fn new(json: &str, what: &'static str, max_bytes: usize) -> Result<Self> {
        // SQLite reads no further than the first NUL and would call the rest JSON as well.
        if json.is_empty() || json.len() > max_bytes || json.contains('\0') {
            return Err(Error::invalid(what));
        }
        Ok(Self(json.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The form in which names are compared: two texts are the same name if this is equal.
///
/// Compatibility caseless matching (Unicode 3.13, D146), composed at the end. The caller bounds
/// the length first; the result may still be much longer than `value`.
pub(crate) fn folded(value: &str) -> String {
    value.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect()
}

/// [`folded`], refused beyond its bound and where the compatibility forms bring in what the text
/// itself did not show: an acute accent standing alone, for one, becomes a space and a mark.
pub(crate) fn folded_name(value: &str, what: &'static str) -> Result<String> {
    let key = folded(value);
    let spaces = |text: &str| text.bytes().filter(|byte| *byte == b' ').count();
    let brought_in = spaces(&key) != spaces(value) || key.chars().any(is_hidden);
    if key.is_empty() || key.len() > FOLDED_MAX_BYTES || brought_in {
        return Err(Error::invalid(what));
    }
    Ok(key)
}

/// Spaces that nobody sees: at an end, or two in a row, or any but U+0020.
pub(crate) fn has_loose_space(value: &str) -> bool {
    value.starts_with(' ')
        || value.ends_with(' ')
        || value.contains("  ")
        || value.chars().any(|c| c.is_whitespace() && c != ' ')
}

/// Characters that a name must not have: nobody sees them, or nobody knows what they will be.
///
/// Controls, format characters (zero width, bidi, tags), fillers, variation selectors, private
/// use, and code points that Unicode has not assigned.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control() || is_default_ignorable(c) || is_format(c) || !is_public_assigned(c)
}

/// Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.
fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is invisible beyond those: separators, annotation marks, the empty Braille cell, and the
/// replacement character, which stands for bytes that somebody lost.
fn is_format(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffd}')
}

/// Controls, line separators and bidi overrides: they let one line look like another in a log.
pub(crate) fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line for the audit log: what would break it is written as `\u{…}`, a backslash doubled.
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

/// The beginning of a text, at most `max_bytes` of it, never half a character.
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
        assert!(JsonText::new("{}", "what", 2).is_ok());
        assert!(JsonText::new("", "what", 2).is_err());
        assert!(JsonText::new("[1]", "what", 2).is_err());
        assert!(JsonText::new("1\0", "what", 2).is_err());
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
