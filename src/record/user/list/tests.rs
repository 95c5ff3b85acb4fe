//! An administrator's list reads one piece in one snapshot, however many users are inside.

use super::*;
use crate::NewUser;
use crate::options::Options;
use crate::storage::Finished;
use crate::store::Store;

/// Ada, who administers an organisation with two branches, and a third branch by itself. Each
/// branch has that many users, and so has one outside. The ids of one branch come before those of
/// the next.
struct Town {
    store: Store,
    by_ada: Authority,
}

impl Town {
    fn new(users: i64) -> Self {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let north = store.organisations().create("North").unwrap().id;
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        let parents = [Some(north), Some(north), None, None];
        let branches = parents.map(|parent| store.branches().create("Branch", parent).unwrap().id);
        for (first_byte, branch) in (1_u8..).zip(branches) {
            let inserted = store.transact(|tx| {
                tx.execute(
                    "INSERT INTO user (id, branch_id, status, kind, username, username_key,
                         created_at, search_key, audit_salt)
                     WITH RECURSIVE n (i) AS (
                         SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
                     SELECT unhex(printf('%02x', ?3) || hex(randomblob(15))), ?1, 'active',
                         'person', hex(?1) || i, hex(?1) || i, 0, '', zeroblob(16)
                     FROM n",
                    params![branch, users, first_byte],
                )
                .map(Finished::Commit)
            });
            assert_eq!(inserted.unwrap(), users.unsigned_abs() as usize);
        }
        store.users().grant_administration(ada, north).unwrap();
        store.users().grant_administration(ada, branches[2]).unwrap();
        let by_ada = Authority { administrator: Some(ada), everything: false };
        Self { store, by_ada }
    }

    /// The steps of SQLite for a call.
    fn steps(
        &self,
        call: impl FnOnce(&Users<'_>, &dyn Fn(&ReadTx<'_>) -> Result<Authority>),
    ) -> u64 {
        let by_ada = self.by_ada;
        self.store.core().storage.steps_of(|| call(&self.store.users(), &move |_| Ok(by_ada)))
    }
}

#[test]
fn a_piece_of_an_administrator_has_2000_users_whatever_their_branches() {
    let town = Town::new(1_500);
    let (mut after, mut sizes) = (UserId::NIL, Vec::new());
    loop {
        let (end, size) = town
            .store
            .read(|tx| {
                let end = piece_end(tx, town.by_ada, after)?;
                let all = UserFilter::new();
                Ok((end, all.checked()?.count(tx, town.by_ada, (after, end))?))
            })
            .unwrap();
        sizes.push(size);
        match end {
            Some(end) => after = end,
            None => break,
        }
    }
    assert_eq!(sizes, [2_000, 2_000, 500]);
}

/// Each piece once collected every user inside, and sorted them to find its end.
#[test]
fn a_page_of_an_administrator_reads_no_more_of_a_larger_place() {
    let [few, many] = [1_000, 4_000].map(|users| {
        Town::new(users).steps(|all, by_ada| {
            let page = all.list_inside(by_ada, &UserFilter::new(), Page::first(100)).unwrap();
            assert_eq!(page.len(), 100);
        })
    });
    assert!(many < few + few / 10, "{few} steps for a page of 3,000 users, {many} of 12,000");
}

#[test]
fn a_count_of_an_administrator_reads_each_user_in_one_piece_alone() {
    let [few, many] = [1_000_u32, 4_000].map(|users| {
        Town::new(users.into()).steps(|all, by_ada| {
            let count = all.count_inside(by_ada, &UserFilter::new()).unwrap();
            assert_eq!(count, 3 * u64::from(users));
        })
    });
    assert!(many < 5 * few, "{few} steps for 3,000 users, {many} for 12,000");
}
