//! Gatepost: an embedded, synchronous session store in one SQLite file.
//!
//! One file holds users, organisations and branches, configuration, credits, API keys,
//! device-bound sessions and an audit log. Desktop applications link it, small servers embed it;
//! several threads and processes of one host have the same file open. There is no network layer,
//! no async, and no thread of its own.
//!
//! ```
//! use gatepost::{DeviceId, LogIn, NewUser, Options, Password, Reason, Refusal, Store};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("auth.db");
//! let store = Store::open(path, Options::server())?;
//! let ada = NewUser::person("ada").password(Password::from("lantern over wet slate"));
//! let ada = store.users().create(ada)?;
//!
//! let device = DeviceId::new("till-1")?;
//! let login = |text: &str| LogIn::new("ada", Password::from(text), device.clone());
//! let refusal = store.log_in(login("a lantern"))?.granted().unwrap_err();
//! assert_eq!(refusal, Refusal::InvalidCredentials);
//! let reply = store.log_in(login("lantern over wet slate"))?.granted()?;
//!
//! let token = reply.session.token.expose();
//! assert_eq!(store.verify(token, &device)?.valid()?.user, ada.id);
//! let _ = store.log_out(token, &device)?;
//! assert!(store.verify(token, &device)?.valid().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Error`] means that a request cannot be done as asked or that the store could not tell;
//! [`Error::reason`] says which. It never means "no": a refused login is a [`Refusal`], a refused
//! token a [`Refused`], both of them values.
//!
//! # Where to begin
//!
//! - [`Store::open`] and [`Options`]; what is the [default](manual::defaults) and why.
//! - [`Store::log_in`], [`Store::verify`], [`Store::log_out`]: the main road.
//! - [`Store::users`], [`Store::branches`], [`Store::organisations`], [`Store::configuration`],
//!   [`Store::credits`], [`Store::api_keys`], [`Store::sessions`], [`Store::devices`],
//!   [`Store::audit`]: the nouns.
//! - The [`manual`]: what calls cost, the hot path, operating a store, threats, requirements, the
//!   file format.
//!
//! Features: `serde` (the wire shapes of replies and requests) and `test-util` (in-memory stores,
//! a manual clock, a seeded random source, a cheap hash: for the tests of a host alone).
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod error;
mod flow;
mod hasher;
pub mod manual;
mod options;
mod pending;
mod record;
mod storage;
mod store;
mod sync;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod testing;
mod value;
#[cfg(feature = "serde")]
mod wire;

pub use error::{Error, Reason};
pub use flow::login::{ClientKind, LogIn, LoginAnswer, LoginReply, OpenedSession, Profile};
pub use flow::password_change::PasswordChange;
pub use flow::password_set::EndSessions;
pub use flow::revoke::Ended;
pub use flow::session_open::OpenSession;
pub use flow::sweep::Maintained;
pub use hasher::Cost;
pub use options::{ChangeAtLogin, Options};
pub use record::api_key::{ApiKeyInfo, ApiKeys, IssuedApiKey, NewApiKey};
pub use record::audit::{Anchor, Audit, AuditEntry, AuditFilter, ChainCheck};
pub use record::branch::{Branch, BranchFilter, Branches};
pub use record::configuration::{Configuration, Scope, Setting, Settings};
pub use record::credit::{CreditBook, Credits, Holder};
pub use record::device::{Devices, KnownDevice};
pub use record::organisation::{Organisation, Organisations};
pub use record::session::{SessionDocument, SessionInfo, Sessions};
pub use record::user::{NewUser, User, UserFilter, UserUpdate, Users};
pub use storage::{CommitOutcome, FileGuard, Note};
pub use store::{ChangeSignal, Service, Status, Store};
pub use value::event::{Actor, EventKind, HostEvent, Origin, Outcome};
pub use value::facts::{Assurance, Facts, RefusalReason, Refused, UserKind, UserStatus, Verdict};
pub use value::header::Presented;
pub use value::id::{ApiKeyId, BranchId, OrganisationId, Page, SessionId, UserId};
pub use value::name::DeviceId;
pub use value::policy::{
    ApiVersion, BreachCheck, PasswordPolicy, PasswordRule, SessionPolicy, WhenFull,
};
pub use value::random::{RandomSource, RandomUnavailable, SystemRandom};
pub use value::refusal::Refusal;
pub use value::secret::{Password, Secret};
pub use value::time::{Clock, SystemClock};
#[cfg(feature = "test-util")]
pub use value::{random::SeededRandom, time::ManualClock};
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub use wire::{
    ChangePassword, WireBranch, WireChangePassword, WireCredits, WireLogIn, WireLoginReply,
    WireOrganisation, WireSession, WireSetting, WireUser,
};

/// README's programs, run as they stand.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
