//! Texts that are refused without a look at the file: not by a store that is closed.

use gatepost::second_factors::NewTotp;
use gatepost::sessions::RevokeApiKeys;
use gatepost::{CompleteLogin, Credential, Error, ErrorKind, Store};

use super::UNKNOWN;
use crate::world::{HOUR, PASSWORD, World, device};

/// A call that is given a text which is no token.
type Call = fn(&Store) -> Result<(), Error>;

const JUNK: &str = "nonsense";

#[rustfmt::skip]
const CALLS: &[(&str, Call)] = &[
    ("verify", |store| store.verify((JUNK, &device("till"))).map(drop)),
    ("renew", |store| store.renew((JUNK, &device("till"))).map(drop)),
    ("explain", |store| store.explain((JUNK, &device("till"))).map(drop)),
    ("explain_credential", |store| {
        store.explain_credential(Credential::Session(UNKNOWN.parse()?)).map(drop)
    }),
    ("require_fresh", |store| {
        let level = gatepost::sessions::Assurance::Aal1;
        store.require_fresh((JUNK, &device("till")), HOUR, level).map(drop)
    }),
    ("complete_login", |store| {
        store.complete_login(CompleteLogin::with_code(JUNK, device("till"), "123456")).map(drop)
    }),
    ("enrol_at_login", |store| {
        store.second_factors().enrol_at_login(JUNK, &device("till"), NewTotp::new()).map(drop)
    }),
    ("reset_password", |store| {
        let keep = RevokeApiKeys::Keep;
        store.one_time_tokens().reset_password(JUNK, PASSWORD.into(), keep).map(drop)
    }),
    ("confirm_email", |store| store.one_time_tokens().confirm_email(JUNK).map(drop)),
    ("accept_invitation", |store| {
        store.one_time_tokens().accept_invitation(JUNK, PASSWORD.into()).map(drop)
    }),
    ("tickets().verify", |store| store.tickets().verify(JUNK, "GET", "/images/7").map(drop)),
];

#[test]
fn a_closed_store_refuses_no_text_and_says_that_it_is_closed() {
    let world = World::new();
    world.store.close().unwrap();
    let findings: Vec<String> = CALLS
        .iter()
        .filter_map(|(name, call)| match call(&world.store) {
            Err(error) if error.kind() == ErrorKind::Closed => None,
            answer => Some(format!("{name}: {answer:?}")),
        })
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
