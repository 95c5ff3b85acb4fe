//! The check of a new password, when it is set and never at a login.
//!
//! There are no rules of composition (ASVS 6.2.5). The rules are length, a list of common
//! passwords, names of the user and its branch and organisation, and the host's breach check. Each
//! compares the whole password, so that a long one is not refused for a part of it.

use super::blocklist;
use super::limits::CONTEXT_WORD_MIN_CHARS;
use super::name::{folded, folded_secret};
use super::password_rule::PasswordRule;
use super::policy::{BreachCheck, PasswordPolicy};
use super::secret::Password;
use crate::error::{Error, Result};

/// Checks a new password, in NFC, and returns the first rule that it breaks. The cheapest rule
/// comes first, the host's breach check last, and only if all others passed.
///
/// `context` has the texts that others can know about the user: username, e-mail address, names,
/// branch, organisation, service.
pub(crate) fn check(
    policy: &PasswordPolicy,
    breaches: Option<&dyn BreachCheck>,
    password: &str,
    context: &[&str],
) -> std::result::Result<(), PasswordRule> {
    if password.len() > policy.max_bytes {
        return Err(PasswordRule::TooLong { max_bytes: policy.max_bytes });
    }
    let min_chars = policy.min_chars;
    if password.chars().count() < min_chars {
        return Err(PasswordRule::TooShort { min_chars });
    }
    if policy.blocklist && blocklist::is_common(password) {
        return Err(PasswordRule::Common);
    }
    if policy.context && is_of_context(password, context) {
        return Err(PasswordRule::Context);
    }
    if breaches.is_some_and(|check| check.is_breached(password)) {
        return Err(PasswordRule::Breached);
    }
    Ok(())
}

/// Refuses a new password that is longer than any policy permits, before anything is looked up or
/// hashed.
///
/// # Errors
/// `Invalid` with the rule, if the password as received is longer than 4,096 bytes.
pub(crate) fn check_length(policy: &PasswordPolicy, password: &Password) -> Result<()> {
    let rule = PasswordRule::TooLong { max_bytes: policy.max_bytes };
    password.check_length().map_err(|_| Error::password(rule))
}

/// Whether the whole password is one of the texts, the part before the `@` of one, or a word of
/// one, in any case, with or without digits and signs around it.
fn is_of_context(password: &str, context: &[&str]) -> bool {
    let password = folded_secret(password);
    context.iter().any(|text| {
        let text = folded(text);
        let local_part = text.split('@').next().into_iter();
        let words = text.split_whitespace();
        std::iter::once(text.as_str())
            .chain(local_part)
            .chain(words)
            .any(|word| is_word_with_trimmings(&password, word))
    })
}

/// Whether all of `password` is `word` between digits and signs. A word without a letter must be
/// the whole password: with digits around it, it is another number.
fn is_word_with_trimmings(password: &str, word: &str) -> bool {
    if word.chars().count() < CONTEXT_WORD_MIN_CHARS {
        return false;
    }
    if !has_letter(word) {
        return password == word;
    }
    password.match_indices(word).any(|(at, _)| {
        let (before, rest) = password.split_at_checked(at).unwrap_or_default();
        let after = rest.strip_prefix(word).unwrap_or(rest);
        !has_letter(before) && !has_letter(after)
    })
}

fn has_letter(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;

    const TOO_SHORT: PasswordRule = PasswordRule::TooShort { min_chars: 8 };

    const CONTEXT: [&str; 7] = [
        "ada.lovelace",
        "countess@example.com",
        "Ada",
        "L\u{f6}wenherz",
        "Northern Lights Ltd",
        "York2024",
        "20241121",
    ];

    #[derive(Debug, Default)]
    struct Breaches(AtomicUsize);

    impl BreachCheck for Breaches {
        fn is_breached(&self, password: &str) -> bool {
            self.0.fetch_add(1, Ordering::SeqCst);
            password == "known elsewhere"
        }
    }

    #[track_caller]
    fn refused(policy: &PasswordPolicy, password: &str, rule: PasswordRule) {
        assert_eq!(check(policy, None, password, &CONTEXT), Err(rule), "{password:?}");
    }

    #[track_caller]
    fn accepted(policy: &PasswordPolicy, password: &str) {
        assert_eq!(check(policy, None, password, &CONTEXT), Ok(()), "{password:?}");
    }

    #[test]
    fn characters_are_counted_as_code_points() {
        let policy = PasswordPolicy::default();
        refused(&policy, "xkq wvu", TOO_SHORT);
        accepted(&policy, "xkq wvuz");
        refused(&policy, &"\u{1f40e}".repeat(7), TOO_SHORT);
        accepted(&policy, &"\u{1f40e}".repeat(8));
        refused(&policy, "x\u{302}x\u{302}x\u{302}x", TOO_SHORT);
        accepted(&policy, "x\u{302}x\u{302}x\u{302}x\u{302}");
        refused(&policy, "", TOO_SHORT);
    }

    #[test]
    fn the_nist_preset_asks_for_fifteen() {
        let policy = PasswordPolicy::nist();
        refused(&policy, "xkq wvuz xkq w", PasswordRule::TooShort { min_chars: 15 });
        accepted(&policy, "xkq wvuz xkq wv");
    }

    #[test]
    fn long_passwords_are_accepted_up_to_the_greatest_size() {
        let policy = PasswordPolicy::default();
        accepted(&policy, &"wq".repeat(32));
        accepted(&policy, &"x".repeat(4_096));
        refused(&policy, &"x".repeat(4_097), PasswordRule::TooLong { max_bytes: 4_096 });
        let long = PasswordRule::TooLong { max_bytes: 256 };
        refused(&policy.max_bytes(256), &"x".repeat(257), long);
    }

    #[test]
    fn a_common_password_is_refused_in_any_case_and_a_longer_one_is_not() {
        let policy = PasswordPolicy::default();
        refused(&policy, "password", PasswordRule::Common);
        refused(&policy, "PassWord1", PasswordRule::Common);
        accepted(&policy, "password of mine");
        accepted(&policy.blocklist(false), "password");
    }

    #[test]
    fn a_name_of_the_user_or_its_place_is_refused_with_digits_and_signs_around_it() {
        let policy = PasswordPolicy::default();
        for password in [
            "ada.lovelace",
            "ADA.Lovelace",
            "ada.lovelace1815!",
            "**Ada.Lovelace**",
            "countess@example.com",
            "Countess",
            "2024-countess-2024",
            "L\u{d6}WENHERZ",
            "Northern Lights Ltd",
            "northern-2024",
            "Lights!!",
            "york2024",
            "!York2024!",
            "20241121",
        ] {
            refused(&policy, password, PasswordRule::Context);
            accepted(&policy.context(false), password);
        }
    }

    #[test]
    fn a_password_that_merely_contains_a_name_is_accepted() {
        let policy = PasswordPolicy::default();
        for password in [
            "ada.lovelace and me",
            "my countess",
            "countesses",
            "xnorthernx",
            "example.com",
            // `Ada` and `Ltd` are too short to count.
            "ada12345!",
            "Ltd-2024",
            // A number within a number.
            "9202411217",
        ] {
            accepted(&policy, password);
        }
    }

    #[test]
    fn the_breach_check_is_asked_once_and_last() {
        let breaches = Breaches::default();
        let check =
            |password| check(&PasswordPolicy::default(), Some(&breaches), password, &CONTEXT);
        assert_eq!(check("short"), Err(TOO_SHORT));
        assert_eq!(check("password"), Err(PasswordRule::Common));
        assert_eq!(check("Countess"), Err(PasswordRule::Context));
        assert_eq!(breaches.0.load(Ordering::SeqCst), 0);
        assert_eq!(check("known elsewhere"), Err(PasswordRule::Breached));
        assert_eq!(check("known nowhere"), Ok(()));
        assert_eq!(breaches.0.load(Ordering::SeqCst), 2);
    }

    proptest! {
        #[test]
        fn there_are_no_rules_of_composition(password in "\\PC{8,64}") {
            prop_assume!(!blocklist::is_common(&password));
            prop_assert_eq!(check(&PasswordPolicy::default(), None, &password, &[]), Ok(()));
        }

        #[test]
        fn no_text_and_no_context_makes_it_panic(password: String, one: String, two: String) {
            let _ = check(&PasswordPolicy::default(), None, &password, &[&one, &two]);
        }
    }
}
