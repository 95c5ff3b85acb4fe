//! The stored password that a new one must differ from: one that is marked as compromised, or that
//! its user must replace.

use super::{StoredPassword, of, open, unsealed};
use crate::error::{ErrorKind, Result};
use crate::hasher::Ticket;
use crate::options::Options;
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::secret::Password;

/// The password of a user that must not be set again, as it was when a new one was chosen.
#[derive(Debug)]
pub(crate) struct Former {
    user: UserId,
    /// `None` if the user has no password, or may keep it.
    stored: Option<StoredPassword>,
}

impl Former {
    /// No password of a user who has none.
    pub(crate) const fn none(user: UserId) -> Self {
        Self { user, stored: None }
    }

    pub(crate) fn of(tx: &ReadTx<'_>, options: &Options, user: UserId) -> Result<Self> {
        let must_differ = |stored: &StoredPassword| {
            stored.compromised || stored.must_be_replaced(options, tx.now())
        };
        Ok(Self { user, stored: of(tx, user)?.filter(must_differ) })
    }

    /// Whether the new password is this one, which costs one hash; none where every password may be
    /// set. A hash whose key this process lacks is not compared, except one that is compromised. A
    /// damaged hash is that of no password: a new one is its remedy.
    ///
    /// # Errors
    /// `KeyMissing` if this process lacks the key of a hash that is compromised; as
    /// [`Ticket::verify`].
    pub(crate) fn is(&self, store: &Store, ticket: &Ticket<'_>, new: &Password) -> Result<bool> {
        let Some(stored) = &self.stored else { return Ok(false) };
        match self.matches(stored, store, ticket, new) {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            compared => compared,
        }
    }

    fn matches(
        &self,
        stored: &StoredPassword,
        store: &Store,
        ticket: &Ticket<'_>,
        new: &Password,
    ) -> Result<bool> {
        let options = store.options();
        let phc = match open(options.keyring.as_deref(), self.user, &stored.phc)? {
            Some(phc) => phc,
            None if stored.compromised => unsealed(options, self.user, &stored.phc)?,
            None => return Ok(false),
        };
        Ok(ticket.verify(new, &phc, true)?.matches)
    }

    /// Whether the new password was compared with what it must differ from now: the password may
    /// have been marked since.
    pub(crate) fn is_current(&self, tx: &ReadTx<'_>, options: &Options) -> Result<bool> {
        let now = Self::of(tx, options, self.user)?;
        Ok(now.stored.is_none() || now.version() == self.version())
    }

    fn version(&self) -> Option<i64> {
        self.stored.as_ref().map(|stored| stored.version)
    }
}
