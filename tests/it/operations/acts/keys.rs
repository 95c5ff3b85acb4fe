//! How the operations of API keys and one-time tokens are called.

use std::time::Duration;

use gatepost::Store;
use gatepost::directory::UserStatus;
use gatepost::sessions::{NewApiKey, NewOneTimeToken, RevokeApiKeys};

use super::super::scene::Scene;
use super::{Act, NEW};
use crate::world::MINUTE;

pub(super) const KEYS: &[(&str, Act)] = &[
    ("ApiKeys::revoke", |s, store| store.api_keys().revoke(s.key("ada")).unwrap()),
    ("ApiKeys::revoke_all", |s, store| store.api_keys().revoke_all(s.ada).unwrap()),
    ("ApiKeys::rotate(no overlap)", |s, store| {
        let key = store.api_keys().rotate(s.key("ada"), Duration::ZERO).unwrap().key;
        assert!(store.verify((&key, None)).unwrap().valid().is_ok(), "the new key");
    }),
    ("ApiKeys::rotate(overlap)", |s, store| {
        drop(store.api_keys().rotate(s.key("ada"), MINUTE).unwrap());
    }),
    ("ApiKeys::attenuate(session)", |s, store| {
        drop(store.api_keys().attenuate(&s.principal("ada-1"), NewApiKey::new()).unwrap());
    }),
    ("ApiKeys::attenuate(API key)", |s, store| {
        let key = s.principal_of_key("ada");
        drop(store.api_keys().attenuate(&key, NewApiKey::new()).unwrap());
    }),
    ("ApiKeys::issue", |s, store| {
        drop(store.api_keys().issue(s.root, NewApiKey::new()).unwrap());
    }),
];

pub(super) const ONE_TIME: &[(&str, Act)] = &[
    ("OneTimeTokens::issue", |s, store| {
        drop(store.one_time_tokens().issue(s.ada, NewOneTimeToken::password_reset()).unwrap());
    }),
    ("OneTimeTokens::issue_first_administrator", |_, store| {
        drop(store.one_time_tokens().issue_first_administrator().unwrap());
    }),
    ("OneTimeTokens::create_first_administrator", |s, store| {
        let tokens = store.one_time_tokens();
        let created = tokens.create_first_administrator(&s.one_time(), "chief", NEW.into());
        assert_eq!(created.unwrap().valid().unwrap().privileges, ["admin"]);
    }),
    ("OneTimeTokens::request_password_reset", |_, store| {
        assert!(store.one_time_tokens().request_password_reset("ada").unwrap().mail().is_none());
    }),
    ("OneTimeTokens::revoke_all", |s, store| store.one_time_tokens().revoke_all(s.ada).unwrap()),
    ("OneTimeTokens::confirm_email(first)", confirm_email),
    ("OneTimeTokens::confirm_email(again)", confirm_email),
    ("OneTimeTokens::accept_invitation", |s, store| {
        let redeemed = store.one_time_tokens().accept_invitation(&s.one_time(), NEW.into());
        assert_eq!(redeemed.unwrap().valid().unwrap().status, UserStatus::Active);
    }),
    ("OneTimeTokens::reset_password(RevokeApiKeys::Keep)", |s, store| {
        assert!(reset(s, store, RevokeApiKeys::Keep));
    }),
    ("OneTimeTokens::reset_password(RevokeApiKeys::All)", |s, store| {
        assert!(reset(s, store, RevokeApiKeys::All));
    }),
    ("OneTimeTokens::reset_password(refused)", |s, store| {
        assert!(!reset(s, store, RevokeApiKeys::All));
    }),
];

fn confirm_email(scene: &Scene, store: &Store) {
    let redeemed = store.one_time_tokens().confirm_email(&scene.one_time()).unwrap();
    assert!(redeemed.valid().unwrap().confirmed_at.is_some());
}

fn reset(scene: &Scene, store: &Store, keys: RevokeApiKeys) -> bool {
    let redeemed = store.one_time_tokens().reset_password(&scene.one_time(), NEW.into(), keys);
    redeemed.unwrap().valid().is_ok()
}
