//! The new password of a user who has just proved the current one.

use super::reserve::Attempt;
use crate::error::{ErrorKind, Result};
use crate::hasher::{Hashed, Ticket, normalised};
use crate::record::credential::Former;
use crate::record::{second_factor, user};
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::password_check;
use crate::value::password_rule::PasswordRule;
use crate::value::secret::Password;
use crate::value::token::{self, ParsedToken};

/// The current password, from which a new one must differ.
#[derive(Clone, Copy)]
pub(crate) enum Current<'c> {
    /// As it was typed.
    Typed(&'c Password),
    /// Known by its hash alone: comparing costs a hash.
    Stored(&'c Attempt),
    /// The temporary password that was proved, and the one that is stored.
    Temporary(&'c ParsedToken, &'c Former),
}

/// Checks a new password and hashes it in the caller's hashing place, outside any write. If it
/// breaks a rule, the rule is returned. The stored password is compared last, so that a password
/// that breaks another rule costs no hash and does not say whether it is the stored one. The caller
/// gives up its place while the host's breach check runs, and takes the charge of its attempt back
/// after an error.
pub(crate) fn hash_new_password(
    store: &Store,
    ticket: &mut Ticket<'_>,
    user: UserId,
    current: Current<'_>,
    new: &Password,
) -> Result<std::result::Result<Hashed, PasswordRule>> {
    let breaches = store.options().breaches()?;
    let text = normalised(new)?;
    let is_unchanged = match current {
        Current::Typed(current) => *text == *normalised(current)?,
        Current::Stored(_) => false,
        Current::Temporary(token, _) => is_text_of(new, token),
    };
    if is_unchanged {
        return Ok(Err(PasswordRule::Unchanged));
    }
    let read = store
        .read(|tx| Ok((user::context_words(tx, user)?, second_factor::is_in_force(tx, user)?)));
    let (words, has_factor) = match read {
        // Deleted since the lookup: the second write of the login finds that as well.
        Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), false),
        read => read?,
    };
    let policy = store.options().passwords.beside(has_factor);
    let service = store.options().service_name.as_str();
    let words: Vec<&str> = words.iter().map(String::as_str).chain([service]).collect();
    let check = || password_check::check(&policy, breaches, &text, &words);
    let checked = if breaches.is_some() { ticket.outside(check) } else { check() };
    if let Err(rule) = checked {
        return Ok(Err(rule));
    }
    let is_stored = match current {
        Current::Typed(_) => false,
        Current::Stored(attempt) => store.compare(ticket, attempt, new)?.verification.matches,
        Current::Temporary(_, former) => former.is(store, ticket, new)?,
    };
    if is_stored {
        return Ok(Err(PasswordRule::Unchanged));
    }
    ticket.hash(new, store.core().storage.random()).map(Ok)
}

/// Whether a password is the text of the temporary one that was proved.
fn is_text_of(password: &Password, proved: &ParsedToken) -> bool {
    token::parse(password.expose()).is_some_and(|typed| {
        let is_same_id = typed.id == proved.id;
        is_same_id && typed.secret_hash.ct_eq(&proved.secret_hash)
    })
}

/// The rule that a current password breaks, to be said in the reply to its login: its length. The
/// password of a user without a second factor may have been long enough beside one, or before the
/// policy was raised; it still logs in.
pub(super) fn advice(
    tx: &ReadTx<'_>,
    store: &Store,
    user: UserId,
    password: &Password,
) -> Result<Option<PasswordRule>> {
    let policy = store.options().passwords.beside(second_factor::is_in_force(tx, user)?);
    let min_chars = policy.min_chars;
    let is_short = normalised(password)?.chars().count() < min_chars;
    Ok(is_short.then_some(PasswordRule::TooShort { min_chars }))
}
