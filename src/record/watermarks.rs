//! The watermarks that an UPDATE raises together with its other changes.

use crate::error::Result;
use crate::storage::WriteTx;
use crate::value::target::Revokes;

/// The watermarks to raise, each to the number of the change row that the same UPDATE writes.
/// `None` leaves one as it is: in SQL, `sessions_ended_seq = coalesce(?1, sessions_ended_seq)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) sessions: Option<i64>,
    pub(crate) keys: Option<i64>,
    pub(crate) tokens: Option<i64>,
    pub(crate) trust: Option<i64>,
}

impl Watermarks {
    /// For an UPDATE that raises none.
    pub(crate) const UNCHANGED: Self =
        Self { sessions: None, keys: None, tokens: None, trust: None };

    /// For the next UPDATE of this transaction, which must write its change row.
    ///
    /// # Errors
    /// `Misuse` if it would revoke anything in a transaction that did not begin in `Store::revoke`.
    pub(crate) fn raise(tx: &WriteTx<'_>, ends: Revokes) -> Result<Self> {
        if ends == Revokes::default() {
            return Ok(Self::UNCHANGED);
        }
        tx.check_revokes()?;
        let seq = tx.revoking_seq()?;
        Ok(Self {
            sessions: ends.sessions.then_some(seq),
            keys: ends.keys.then_some(seq),
            tokens: ends.tokens.then_some(seq),
            trust: ends.trust.then_some(seq),
        })
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::record::audit::Written;
    use crate::{Options, Store};

    /// A full disk would refuse such a write without denying the target from memory.
    #[test]
    fn an_ordinary_write_cannot_revoke() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let raise = |ends| {
            let raised = store.write(|tx| Watermarks::raise(tx, ends).map(Written::Nothing));
            raised.map_err(|error| error.kind())
        };
        let none = Revokes::default();
        let kinds = [
            Revokes { sessions: true, ..none },
            Revokes { keys: true, ..none },
            Revokes { tokens: true, ..none },
            Revokes { trust: true, ..none },
        ];
        for ends in kinds {
            assert_eq!(raise(ends), Err(ErrorKind::Misuse), "{ends:?}");
        }
        assert_eq!(raise(none), Ok(Watermarks::UNCHANGED));
    }
}
