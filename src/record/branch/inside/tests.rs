//! An administrator's list reads one piece in one snapshot, however many branches are inside.

use super::*;
use crate::NewUser;
use crate::options::Options;
use crate::storage::Finished;
use crate::store::Store;

/// Ada administers an organisation with that many branches. As many are outside.
fn town(branches: i64) -> (Store, Authority) {
    let store = Store::in_memory(Options::for_tests()).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let [north, south] =
        ["North", "South"].map(|name| store.organisations().create(name).unwrap().id);
    for organisation in [north, south] {
        let inserted = store.transact(|tx| {
            tx.execute(
                "INSERT INTO branch (id, organisation_id, name, created_at)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
                 SELECT randomblob(16), ?1, 'Branch', 0 FROM n",
                params![organisation, branches],
            )
            .map(Finished::Commit)
        });
        assert_eq!(inserted.unwrap(), branches.unsigned_abs() as usize);
    }
    store.users().grant_administration(ada, north).unwrap();
    (store, Authority { administrator: Some(ada), everything: false })
}

/// The branches of an administrator were listed and counted in one snapshot.
#[test]
fn a_page_of_an_administrator_reads_no_more_of_a_larger_organisation() {
    let [few, many] = [3_000, 12_000].map(|branches| {
        let (store, by_ada) = town(branches);
        store.core().storage.steps_of(|| {
            let (all, filter) = (store.branches(), BranchFilter::new());
            let page = all.list_inside(&|_| Ok(by_ada), &filter, Page::first(100)).unwrap();
            assert_eq!(page.len(), 100);
        })
    });
    assert!(many < few + few / 10, "{few} steps for a page of 3,000 branches, {many} of 12,000");
}

#[test]
fn a_count_of_an_administrator_reads_each_branch_in_one_piece_alone() {
    let [few, many] = [3_000_u32, 12_000].map(|branches| {
        let (store, by_ada) = town(branches.into());
        store.core().storage.steps_of(|| {
            let filter = BranchFilter::new();
            let count = store.branches().count_inside(&|_| Ok(by_ada), &filter).unwrap();
            assert_eq!(count, u64::from(branches));
        })
    });
    assert!(many < 5 * few, "{few} steps for 3,000 branches, {many} for 12,000");
}
