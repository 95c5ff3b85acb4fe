//! The change log is exact: a row for each change that a verify could notice, and none for any
//! other; and no verify passes a session that plain SQL has deleted.

mod events;
mod hand;
mod reads;

use gatepost::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};

use crate::world::World;

/// A row of the change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Store,
    Organisation(OrganisationId),
    Branch(BranchId),
    User(UserId),
    Session(SessionId),
    Key(ApiKeyId),
}

impl Change {
    /// Kind and id as they are stored.
    fn row(self) -> (i64, Option<Vec<u8>>) {
        let (kind, id) = match self {
            Self::Store => return (0, None),
            Self::Organisation(id) => (1, id.as_uuid()),
            Self::Branch(id) => (2, id.as_uuid()),
            Self::User(id) => (3, id.as_uuid()),
            Self::Session(id) => (4, id.as_uuid()),
            Self::Key(id) => (5, id.as_uuid()),
        };
        (kind, Some(id.as_bytes().to_vec()))
    }
}

/// Asserts which rows a call leaves in the change log, in their order.
#[track_caller]
fn check<T>(world: &World, expect: &[Change], call: impl FnOnce() -> T) -> T {
    let head = world.head();
    let answer = call();
    let sql = world.sql();
    let newer = "SELECT kind, id FROM change WHERE seq > ?1 ORDER BY seq";
    let mut statement = sql.prepare(newer).unwrap();
    let rows = statement.query_map([head], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let left: Vec<(i64, Option<Vec<u8>>)> = rows.map(Result::unwrap).collect();
    let expect: Vec<_> = expect.iter().map(|change| change.row()).collect();
    assert_eq!(left, expect);
    answer
}
