//! What an UPDATE raises besides what it is about.

use crate::error::Result;
use crate::storage::WriteTx;
use crate::value::target::Ends;

/// The watermarks to raise, each to the number of the change row that the same UPDATE writes.
/// `None` leaves one as it is: in SQL, `sessions_ended_seq = coalesce(?1, sessions_ended_seq)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) sessions: Option<i64>,
    pub(crate) keys: Option<i64>,
    pub(crate) tokens: Option<i64>,
}

impl Watermarks {
    /// For an UPDATE that raises none.
    pub(crate) const UNCHANGED: Self = Self { sessions: None, keys: None, tokens: None };

    /// For the next UPDATE of this transaction, which must write its change row.
    ///
    /// # Errors
    /// `Misuse` if sessions or keys end in a transaction that did not come through the door of
    /// revocations.
    pub(crate) fn raise(tx: &WriteTx<'_>, ends: Ends) -> Result<Self> {
        if ends == Ends::default() {
            return Ok(Self::UNCHANGED);
        }
        if ends.sessions || ends.keys {
            tx.check_revokes()?;
        }
        let seq = tx.ending_seq()?;
        Ok(Self {
            sessions: ends.sessions.then_some(seq),
            keys: ends.keys.then_some(seq),
            tokens: ends.tokens.then_some(seq),
        })
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::error::Reason;
    use crate::record::audit::Written;
    use crate::{Options, Store};

    /// A full disk would refuse such a write with nothing denied in memory.
    #[test]
    fn an_ordinary_write_cannot_revoke() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let raise = |ends| {
            let raised = store.write(|tx| Watermarks::raise(tx, ends).map(Written::Nothing));
            raised.map_err(|error| error.reason())
        };
        let none = Ends::default();
        for ends in [Ends { sessions: true, ..none }, Ends { keys: true, ..none }] {
            assert_eq!(raise(ends), Err(Reason::Misuse), "{ends:?}");
        }
        assert_eq!(raise(none), Ok(Watermarks::UNCHANGED));
    }
}
