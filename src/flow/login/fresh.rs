//! The new password that somebody gives for the one just proven.

use crate::error::{Reason, Result};
use crate::hasher::{Hashed, Ticket, normalised};
use crate::record::user;
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::password_check;
use crate::value::policy::PasswordRule;
use crate::value::secret::Password;

/// Tests a new password and hashes it, in the slot of the caller and outside any write; or the rule
/// that it breaks, which costs no hash.
pub(crate) fn fresh(
    store: &Store,
    ticket: &Ticket<'_>,
    user: UserId,
    current: &Password,
    new: &Password,
) -> Result<std::result::Result<Hashed, PasswordRule>> {
    let text = normalised(new)?;
    if *text == *normalised(current)? {
        return Ok(Err(PasswordRule::Unchanged));
    }
    let words = match store.read(|tx| user::context_words(tx, user)) {
        // Deleted since it was looked up: the settlement finds that as well.
        Err(error) if error.reason() == Reason::NotFound => Vec::new(),
        words => words?,
    };
    let service = store.options().service_name.as_str();
    let words: Vec<&str> = words.iter().map(String::as_str).chain([service]).collect();
    match password_check::check(&store.options().passwords, &text, &words, false) {
        Err(rule) => Ok(Err(rule)),
        Ok(()) => ticket.hash(new, store.core().storage.random()).map(Ok),
    }
}
