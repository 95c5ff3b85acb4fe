//! What was typed where a login asks for a name.

use super::{EmailAddress, Username};

/// What was typed, parsed once. It may be no name at all: people type passwords there.
pub(crate) struct TypedName {
    /// The key of a username, if the text is one.
    pub(crate) username: Option<String>,
    /// The key of an e-mail address, if the text is one.
    pub(crate) email: Option<String>,
    /// The form by which failures are counted and the stand-in cost is drawn.
    pub(crate) canonical: Vec<u8>,
}

impl TypedName {
    pub(crate) fn parse(text: &str) -> Self {
        let username = Username::parse(text).ok().map(|username| username.key);
        let email = EmailAddress::parse(text).ok().map(|email| email.key);
        // What is neither has a domain of its own, so that it never meets a name.
        let (domain, key) = match username.as_deref().or(email.as_deref()) {
            Some(key) => (b'n', key),
            None => (b'r', text.trim()),
        };
        let canonical = [&[domain], key.as_bytes()].concat();
        Self { username, email, canonical }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        let (one, other) = (TypedName::parse(one), TypedName::parse(other));
        assert_eq!(one.canonical == other.canonical, same);
    }

    #[test]
    fn spellings_of_one_name_are_one_text() {
        check("ada", "ADA", true);
        check("ada", "\u{ff41}\u{ff24}\u{ff41}", true);
        check("ada", "bob", false);
        let long = format!("{}@example.com", "a".repeat(130));
        check(&long, &long.to_uppercase(), true);
    }

    #[test]
    fn what_is_no_name_never_meets_one() {
        check("Ada Lovelace", "Ada\u{3000}Lovelace", false);
        check("ada  lovelace", "ADA  LOVELACE", false);
        let bold = "\u{1d41a}".repeat(37);
        check(&bold, &"a".repeat(37), false);
        check("nada", "rada", false);
        check("", "r", false);
    }
}
