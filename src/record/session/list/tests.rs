//! How SQLite finds the sessions of a list.

use super::*;
use crate::options::Options;
use crate::store::Store;

/// How SQLite finds the rows: the lines of the query plan that are about sessions.
macro_rules! plan {
    ($sql:expr, $($param:expr),+) => {{
        let explain: &'static str = format!("EXPLAIN QUERY PLAN {}", $sql).leak();
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let lines = store.read(|tx| {
            tx.all(explain, params![$($param),+], |row| row.get::<_, String>(3))
        });
        let lines = lines.unwrap().into_iter();
        lines.filter(|line| line.split(' ').nth(1) == Some("s")).collect::<Vec<_>>()
    }};
}

#[test]
fn few_sessions_are_found_by_their_users_and_many_in_the_order_of_their_ids() {
    let (now, id) = (Timestamp::UNIX_EPOCH, [0_u8; 16]);
    let by_user = "SEARCH s USING INDEX session_by_user (user_id=? AND expires_at>?)";
    let of_places = [&OF_ORGANISATION, &OF_BRANCH, &OF_USER];
    for statements in of_places {
        let few = statements.of_few.as_ref().unwrap();
        let is_few = plan!(few.is_few, id, 1, now);
        let covered = by_user.replace("INDEX", "COVERING INDEX");
        assert_eq!(is_few, [format!("{covered} LEFT-JOIN")]);
        assert_eq!(plan!(few.listed, id, 1, now, id, 1), [by_user]);
        assert_eq!(plan!(few.counted, id, 1, now), [by_user]);
    }
    let by_id = ["SEARCH s USING PRIMARY KEY (id>? AND id<?)"];
    for statements in of_places.into_iter().chain([&OF_STORE]) {
        assert_eq!(plan!(statements.of_piece, id, now, id, id, 1), by_id);
        assert_eq!(plan!(statements.count_of_piece, id, now, id, id), by_id);
    }
}
