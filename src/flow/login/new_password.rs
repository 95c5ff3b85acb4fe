//! The new password of a user who has just proved the current one.

use crate::error::{ErrorKind, Result};
use crate::hasher::{Hashed, Ticket, normalised};
use crate::record::user;
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::password_check;
use crate::value::password_rule::PasswordRule;
use crate::value::secret::Password;

/// Checks a new password and hashes it in the caller's hashing place, outside any write. A password
/// that breaks a rule costs no hash, and the rule is returned. The caller gives up its place while
/// the host's breach check runs.
pub(crate) fn hash_new_password(
    store: &Store,
    ticket: &mut Ticket<'_>,
    user: UserId,
    current: &Password,
    new: &Password,
) -> Result<std::result::Result<Hashed, PasswordRule>> {
    let breaches = store.options().breaches()?;
    let text = normalised(new)?;
    if *text == *normalised(current)? {
        return Ok(Err(PasswordRule::Unchanged));
    }
    let words = match store.read(|tx| user::context_words(tx, user)) {
        // Deleted since the lookup: the second write of the login finds that as well.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        words => words?,
    };
    let service = store.options().service_name.as_str();
    let words: Vec<&str> = words.iter().map(String::as_str).chain([service]).collect();
    let check = || password_check::check(&store.options().passwords, breaches, &text, &words);
    let checked = if breaches.is_some() { ticket.outside(check) } else { check() };
    match checked {
        Err(rule) => Ok(Err(rule)),
        Ok(()) => ticket.hash(new, store.core().storage.random()).map(Ok),
    }
}
