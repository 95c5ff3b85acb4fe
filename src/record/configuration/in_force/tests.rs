//! What a login reads of the configuration, and what a page reads of a scope.

use super::*;
use crate::NewUser;
use crate::directory::ImportRecord;
use crate::options::Options;
use crate::store::Store;
use crate::value::id::Page;
use crate::value::subtree::Subtree;

/// Ada, who has that many private settings and a public one.
fn store_with(settings: usize) -> (Store, UserId) {
    let store = Store::in_memory(Options::for_tests()).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let record = |key: String, public| ImportRecord::Setting {
        scope: Subtree::User(ada),
        key,
        value: "x".repeat(100),
        public,
    };
    let mut records: Vec<_> =
        (0..settings).map(|n| record(format!("private.{n:03}"), false)).collect();
    records.push(record("theme".into(), true));
    let imported = store.import(records).unwrap();
    assert!(imported.iter().all(Result::is_ok));
    (store, ada)
}

/// The steps of SQLite for a call among few and among many private settings.
fn steps(call: impl Fn(&Store, UserId)) -> [u64; 2] {
    [200, 900].map(|settings| {
        let (store, ada) = store_with(settings);
        store.core().storage.steps_of(|| call(&store, ada))
    })
}

/// A login read every private value of its user, organisation, branch and store, and sorted them.
#[test]
fn a_login_reads_of_a_private_key_only_that_it_is_private() {
    let [few, many] = steps(|store, ada| {
        let public = store.read(|tx| public_for(tx, ada, None, None)).unwrap();
        assert_eq!(public.len(), 1);
    });
    assert!(many <= few + 700 * 5, "{few} steps beside 200 private settings, {many} beside 900");
}

/// A page collected its whole scope.
#[test]
fn a_page_of_settings_reads_no_more_of_a_larger_scope() {
    let [few, many] = steps(|store, ada| {
        let page = store.configuration().list(Subtree::User(ada), Page::first(9)).unwrap();
        assert_eq!(page.len(), 9);
    });
    assert!(many < few + 10, "{few} steps for a page of 200 settings, {many} of 900");
}
