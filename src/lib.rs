//! Gatepost is an embedded session store: users, sessions, API keys and an audit log in one SQLite
//! file.
//!
//! A desktop application links it, and a small server embeds it. Several threads and processes of
//! one machine may have the same file open: a session that one of them revokes is invalid in all of
//! them at once. Besides users and sessions the file holds branches and organisations,
//! configuration, and credits. The library is synchronous; it has no network layer, no async, and
//! no thread of its own.
//!
//! ```
//! use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Options, Password, Store};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("auth.db");
//! let store = Store::open(path, Options::server())?;
//! let ada = NewUser::person("ada").password(Password::from("lantern over wet slate"));
//! let ada = store.users().create(ada)?;
//!
//! // A wrong password is refused. The right one opens a session on the client's device.
//! let device = DeviceId::random()?;
//! let login = |text: &str| LoginRequest::new("ada", Password::from(text), device.clone());
//! let refusal = store.log_in(login("a lantern"))?.granted().unwrap_err();
//! assert_eq!(refusal, LoginRefusal::InvalidCredentials);
//! let reply = store.log_in(login("lantern over wet slate"))?.granted()?;
//!
//! // The client presents token and device with each request, until it logs out.
//! let token = reply.session.token.expose();
//! assert_eq!(store.verify((token, &device))?.valid()?.user, ada.id);
//! store.log_out((token, &device))?;
//! assert!(store.verify((token, &device))?.valid().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Error`] means that a request cannot be done as asked, or that the store could not answer.
//! It never means "no": a refused login is a [`LoginRefusal`], a refused token an [`InvalidToken`],
//! a missing privilege a [`NotPermitted`], and all of these are values. Each of the four has a
//! method `class()`, which fits an HTTP status.
//!
//! The [`manual`] has a page for each task, in the order in which a reader needs them. The first is
//! [`getting_started`](manual::getting_started).
//!
//! # The API in short
//!
//! - **Open a file:** [`Store::open`] with [`Options`]; a copy that is followed:
//!   [`Store::open_read_only`].
//! - **Move in and out:** [`Store::import`]; the page [`moving`](crate::manual::moving).
//! - **Keep it safe:** [`Store::backup`], [`Store::restore`], [`Store::adopt_restored`].
//! - **Serve a request:** [`Store::log_in`], [`Store::verify`], [`Store::may`], [`Store::renew`],
//!   [`Store::log_out`]; with second factors [`Store::complete_login`], [`Store::prove`],
//!   [`Store::require_fresh`].
//! - **Work with records:** [`Store::users`], [`Store::external_identities`], [`Store::branches`],
//!   [`Store::organisations`], [`Store::configuration`], [`Store::credits`], [`Store::api_keys`],
//!   [`Store::sessions`], [`Store::one_time_tokens`], [`Store::second_factors`],
//!   [`Store::tickets`], [`Store::devices`], [`Store::audit`].
//! - **Limit an administrator:** [`Store::administering`].
//! - **Look after a store:** [`Store::maintain`], [`Store::status`], [`Store::counts`],
//!   [`Store::examine`], [`Store::explain`], [`Store::rekey`], [`Store::change_options`].
//! - **Types by module:** [`directory`], [`configuration`], [`sessions`], [`second_factors`] and
//!   [`audit`] have the types of the records, [`administration`] the handles of an administrator.
//!   [`policy`] has the values of options, [`status`] what an operator reads, [`backup`] what a
//!   backup and a restore report, and [`host`] the clock, the random source, the keyring and the
//!   observer that a program may supply.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `import-hashes`: password hashes of other systems (bcrypt, scrypt, PBKDF2), verified until the
//!   first login replaces them.
//! - `serde`: records as JSON, typed session data, and the wire shapes of services.
//! - `tracing`: spans and events for the crate of that name.
//! - `test-util`: in-memory stores, a clock that a test moves, a seeded random source and a cheap
//!   password hash. For the tests of a program only.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod error;
mod flow;
mod hasher;
pub mod manual;
mod options;
mod pending;
mod record;
mod spans;
mod storage;
mod store;
mod sync;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod testing;
mod value;
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub mod wire;

pub use chrono;
pub use uuid;

pub use error::{Error, ErrorClass, ErrorKind};
pub use flow::login::{
    ClientKind, CompleteLogin, LoginOutcome, LoginReply, LoginRequest, OpenedSession, PendingStep,
    Profile,
};
pub use flow::read_only::{ReadOnlyStatus, ReadOnlyStore};
pub use flow::renew::Renewal;
pub use flow::revoke::Ended;
pub use options::Options;
pub use record::user::{NewUser, User};
pub use store::Store;
pub use value::event::{Actor, ClientInfo};
pub use value::header::HeaderCredentials;
pub use value::id::{ApiKeyId, BranchId, OrganisationId, Page, SessionId, UserId};
pub use value::name::DeviceId;
pub use value::permission::{NotPermitted, Permission};
pub use value::presented::Presented;
pub use value::principal::{Credential, InvalidToken, Principal, Verdict};
pub use value::refusal::LoginRefusal;
pub use value::secret::{Password, Secret};
pub use value::subtree::Subtree;
pub use value::time::Timestamp;

/// Administration by subtree: handles limited to what an administrator may administer.
pub mod administration {
    pub use crate::flow::administering::{
        AdministeredApiKeys, AdministeredBranches, AdministeredOrganisations,
        AdministeredSecondFactors, AdministeredSessions, AdministeredTokens, AdministeredUsers,
        Administration,
    };
}

/// The audit log: its entries, filters and chain, and the events that a host adds.
pub mod audit {
    pub use crate::record::audit::{
        Audit, AuditAnchor, AuditConsumer, AuditFilter, AuditSource, ChainCheck, CheckedChain,
        MissedRows, Notice, UnseenRows,
    };
    pub use crate::value::event::{AuditEntry, EventKind, HostEvent, Outcome};
}

/// Backups, and what a restore reports.
pub mod backup {
    pub use crate::flow::restore::{AdoptReport, ReplacedFile, RestoreOptions, RestoreReport};
    pub use crate::record::restore::Stricter;
    pub use crate::storage::{BackupProgress, BackupReport};
}

/// Configuration: keys and values in four scopes.
pub mod configuration {
    pub use crate::record::configuration::{Configuration, Setting, Settings};
}

/// The directory: users and their external identities, branches and organisations, and the credits
/// of the latter two.
pub mod directory {
    pub use crate::flow::erase::ErasureReport;
    pub use crate::flow::import::{ImportRecord, Imported};
    pub use crate::flow::personal_data::PersonalData;
    pub use crate::record::administration::Administration;
    pub use crate::record::branch::{Branch, BranchFilter, Branches};
    pub use crate::record::credit::{CreditBook, CreditHolder, Credits};
    pub use crate::record::external_identity::{ExternalIdentities, ExternalIdentity};
    pub use crate::record::organisation::{Organisation, OrganisationFilter, Organisations};
    pub use crate::record::user::{UserFilter, UserUpdate, Users};
    pub use crate::value::principal::{UserKind, UserStatus};
}

/// What a host may supply: the clock, the source of random bytes, the keys that seal hashes, and an
/// observer of what is committed.
pub mod host {
    pub use crate::value::event::Observer;
    pub use crate::value::keyring::{KeyId, Keyring, Keys, SealingKey};
    #[cfg(feature = "test-util")]
    pub use crate::value::random::SeededRandom;
    pub use crate::value::random::{RandomSource, RandomUnavailable, SystemRandom};
    #[cfg(feature = "test-util")]
    pub use crate::value::time::ManualClock;
    pub use crate::value::time::{Clock, SystemClock};
}

/// What [`Options`] are made of: policies, limits and costs.
pub mod policy {
    pub use crate::hasher::Cost;
    pub use crate::options::{ChangeAtLogin, DangerousOptions, Lockout};
    pub use crate::value::password_rule::PasswordRule;
    pub use crate::value::policy::{
        ApiVersion, BreachCheck, PasswordPolicy, SessionLimit, SessionPolicy,
    };
    pub use crate::value::second_factor::SecondFactorPolicy;
}

/// Second factors: authenticators with time-based codes, and recovery codes.
pub mod second_factors {
    pub use crate::flow::second_factor::FactorOutcome;
    pub use crate::record::second_factor::{
        NewTotp, RecoveryCodes, SecondFactor, SecondFactors, TotpEnrolment, UnfinishedEnrolment,
    };
    pub use crate::value::factor_code::FactorCode;
    pub use crate::value::totp::{FactorOrigin, TotpAlgorithm, TotpSecret};
}

/// Sessions, devices, API keys, one-time tokens and resource tickets.
pub mod sessions {
    pub use crate::flow::impersonate::Impersonation;
    pub use crate::flow::one_time::{Redemption, ResetMail, ResetRequest, RevokeApiKeys};
    pub use crate::flow::password_set::RevokeSessions;
    pub use crate::flow::prove::Reauthentication;
    pub use crate::flow::session_open::OpenSession;
    pub use crate::flow::ticket::{
        IssuedTicket, NewTicket, TicketBearer, TicketMinting, TicketVerdict, Tickets,
    };
    pub use crate::record::api_key::{ApiKeyInfo, ApiKeys, IssuedApiKey, NewApiKey};
    pub use crate::record::device::{Devices, KnownDevice};
    pub use crate::record::one_time_token::{
        IssuedOneTimeToken, NewOneTimeToken, OneTimeTokenInfo, OneTimeTokens,
    };
    pub use crate::record::pending_step::WaitingLogin;
    pub use crate::record::session::{SessionData, SessionFilter, SessionInfo, Sessions};
    pub use crate::value::freshness::{FreshSession, Freshness, NotFresh};
    pub use crate::value::id::OneTimeTokenId;
    pub use crate::value::one_time::OneTimePurpose;
    pub use crate::value::principal::Assurance;
    pub use crate::value::second_factor::StepDemand;
    pub use crate::value::version::Version;
}

/// The state of an open store, for those who operate it.
pub mod status {
    pub use crate::flow::counts::Counts;
    pub use crate::flow::examine::{Examination, HashCost};
    pub use crate::flow::explain::{AuditEvidence, Explanation, RefusalCause};
    pub use crate::flow::rekey::{KeyUse, RekeyReport};
    pub use crate::flow::sweep::MaintenanceReport;
    pub use crate::storage::{CommitOutcome, FileState, OpenWarning};
    pub use crate::store::{ChangeSignal, Service, Status};
    pub use crate::value::principal::InvalidTokenReason;
}

/// README's programs, run as they stand.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
