//! An administrator's list reads the organisations inside, however many are outside.

use super::*;
use crate::NewUser;
use crate::options::Options;
use crate::storage::Finished;

#[test]
fn a_list_of_an_administrator_reads_no_organisation_outside() {
    let [few, many] = [100, 1_000].map(|outside| {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        let north = store.organisations().create("North").unwrap();
        store.users().grant_administration(ada, north.id).unwrap();
        let inserted = store.transact(|tx| {
            tx.execute(
                "INSERT INTO organisation (id, name, created_at)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 SELECT randomblob(16), 'South', 0 FROM n",
                params![outside],
            )
            .map(Finished::Commit)
        });
        inserted.unwrap();
        let by_ada = Authority { administrator: Some(ada), everything: false };
        store.core().storage.steps_of(|| {
            let (all, filter) = (store.organisations(), OrganisationFilter::new());
            let list = all.list_inside(&|_| Ok(by_ada), &filter, Page::first(9)).unwrap();
            assert_eq!(list, std::slice::from_ref(&north));
        })
    });
    assert!(many < few + 10, "{few} steps among 100 organisations, {many} among 1,000");
}
