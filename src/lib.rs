//! Gatepost: an embedded, synchronous session store in one SQLite file.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod flow;
mod hasher;
mod options;
mod record;
mod storage;
mod store;
mod tally;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod testing;
mod touches;
mod value;
#[cfg(feature = "serde")]
mod wire;

pub use error::{Error, Reason};
pub use flow::login::{ClientKind, LogIn, LoginAnswer, LoginReply, OpenedSession, Profile};
pub use flow::password_change::{ChangedReply, PasswordChange};
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
pub use storage::Note;
pub use store::{Service, Status, Store};
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
