//! Whether a new password may be set. Tested then, and never at a login.
//!
//! There are no rules of composition (ASVS 6.2.5): length, a list of common passwords, words that
//! belong to the user and its place, and what the host knows of breaches. Each looks at the whole
//! password, so that a long one is not refused for what it contains.

use zeroize::Zeroizing;

use super::blocklist;
use super::limits::CONTEXT_WORD_MIN_CHARS;
use super::name::folded;
use super::policy::{PasswordPolicy, PasswordRule};

/// Tests a password, in NFC, that somebody wants to set: the cheapest rule first, the host's
/// breach check last and only for what passed all others.
///
/// `context` is what others know about the user: username, e-mail, names, branch, organisation,
/// service. The first rule that is broken is the answer.
pub(crate) fn check(
    policy: &PasswordPolicy,
    password: &str,
    context: &[&str],
    with_mfa: bool,
) -> std::result::Result<(), PasswordRule> {
    if password.len() > policy.max_bytes {
        return Err(PasswordRule::TooLong);
    }
    let min_chars = if with_mfa { policy.min_chars_with_mfa } else { policy.min_chars };
    if password.chars().count() < min_chars {
        return Err(PasswordRule::TooShort);
    }
    if policy.blocklist && blocklist::is_common(password) {
        return Err(PasswordRule::Common);
    }
    if policy.context && is_of_context(password, context) {
        return Err(PasswordRule::Context);
    }
    if policy.breach.as_ref().is_some_and(|check| check.is_breached(password)) {
        return Err(PasswordRule::Breached);
    }
    Ok(())
}

/// Whether the whole password is one of the texts, what stands before the `@` of one, or a word
/// of one, in any case, with or without digits and signs around it.
fn is_of_context(password: &str, context: &[&str]) -> bool {
    let password = Zeroizing::new(folded(password));
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

/// Whether all of `password` is `word` between digits and signs. A word without a letter counts
/// only if it is the whole: with digits around it, it is just a longer number.
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::super::policy::BreachCheck;
    use super::*;

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
    fn refused(policy: &PasswordPolicy, password: &str, with_mfa: bool, rule: PasswordRule) {
        assert_eq!(check(policy, password, &CONTEXT, with_mfa), Err(rule), "{password:?}");
    }

    #[track_caller]
    fn accepted(policy: &PasswordPolicy, password: &str, with_mfa: bool) {
        assert_eq!(check(policy, password, &CONTEXT, with_mfa), Ok(()), "{password:?}");
    }

    #[test]
    fn characters_are_counted_as_code_points() {
        let policy = PasswordPolicy::default();
        refused(&policy, "xkq wvu", false, PasswordRule::TooShort);
        accepted(&policy, "xkq wvuz", false);
        refused(&policy, &"\u{1f40e}".repeat(7), false, PasswordRule::TooShort);
        accepted(&policy, &"\u{1f40e}".repeat(8), false);
        refused(&policy, "x\u{302}x\u{302}x\u{302}x", false, PasswordRule::TooShort);
        accepted(&policy, "x\u{302}x\u{302}x\u{302}x\u{302}", false);
        refused(&policy, "", true, PasswordRule::TooShort);
    }

    #[test]
    fn the_nist_preset_asks_for_fifteen_alone_and_eight_with_a_second_factor() {
        let policy = PasswordPolicy::nist();
        refused(&policy, "xkq wvuz xkq w", false, PasswordRule::TooShort);
        accepted(&policy, "xkq wvuz xkq wv", false);
        refused(&policy, "xkq wvu", true, PasswordRule::TooShort);
        accepted(&policy, "xkq wvuz", true);
    }

    #[test]
    fn long_passwords_are_accepted_up_to_the_greatest_size() {
        let policy = PasswordPolicy::default();
        accepted(&policy, &"wq".repeat(32), false);
        accepted(&policy, &"x".repeat(4_096), false);
        refused(&policy, &"x".repeat(4_097), false, PasswordRule::TooLong);
        refused(&policy.max_bytes(256), &"x".repeat(257), false, PasswordRule::TooLong);
    }

    #[test]
    fn a_common_password_is_refused_in_any_case_and_a_longer_one_is_not() {
        let policy = PasswordPolicy::default();
        refused(&policy, "password", false, PasswordRule::Common);
        refused(&policy, "PassWord1", false, PasswordRule::Common);
        accepted(&policy, "password of mine", false);
        accepted(&policy.blocklist(false), "password", false);
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
            refused(&policy, password, false, PasswordRule::Context);
            accepted(&policy.clone().context(false), password, false);
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
            accepted(&policy, password, false);
        }
    }

    #[test]
    fn the_breach_check_is_asked_once_and_last() {
        let breaches = Arc::new(Breaches::default());
        let policy = PasswordPolicy::default().breach_check(Arc::clone(&breaches) as _);
        refused(&policy, "short", false, PasswordRule::TooShort);
        refused(&policy, "password", false, PasswordRule::Common);
        refused(&policy, "Countess", false, PasswordRule::Context);
        assert_eq!(breaches.0.load(Ordering::SeqCst), 0);
        refused(&policy, "known elsewhere", false, PasswordRule::Breached);
        accepted(&policy, "known nowhere", false);
        assert_eq!(breaches.0.load(Ordering::SeqCst), 2);
    }

    proptest! {
        #[test]
        fn there_are_no_rules_of_composition(password in "\\PC{8,64}") {
            prop_assume!(!blocklist::is_common(&password));
            prop_assert_eq!(check(&PasswordPolicy::default(), &password, &[], false), Ok(()));
        }

        #[test]
        fn no_text_and_no_context_makes_it_panic(password: String, one: String, two: String) {
            let _ = check(&PasswordPolicy::default(), &password, &[&one, &two], true);
        }
    }
}
