//! One row of the audit log: its actor, kind, subject, client and outcome.

mod details;
mod entry;
mod kind;
mod observer;
pub(crate) mod reasons;

use std::net::IpAddr;

pub(crate) use details::{PASSWORD_REMOVED, in_lines, of_device, says_new_device};
pub use entry::AuditEntry;
pub use kind::EventKind;
pub use observer::Observer;

use super::digest::DeviceDigest;
use super::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use super::limits::{EVENT_DETAIL_MAX_BYTES, HOST_EVENT_NAME_MAX_BYTES, USER_AGENT_MAX_BYTES};
use super::name::is_plain_word;
use super::name::text::{escaped, truncated};
use super::principal::{Credential, Principal};
use crate::error::{Error, Result};

/// The actor to which the audit log ascribes a write; given to
/// [`Store::acting_as`](crate::Store::acting_as). Attribution only: the store checks no privilege
/// of the actor.
///
/// ```
/// use gatepost::{Actor, UserId};
///
/// let ada: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
/// assert_eq!(Actor::from(ada), Actor::User(ada));
/// assert_eq!(Actor::default(), Actor::Host);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Actor {
    /// The host program itself: the default.
    #[default]
    Host,
    /// A user whom the host program has authenticated by other means than a session.
    User(UserId),
    /// A user in a session.
    Session {
        /// The user of the session.
        user: UserId,
        /// The session.
        session: SessionId,
    },
    /// A user's API key.
    ApiKey {
        /// The user of the key.
        user: UserId,
        /// The key.
        key: ApiKeyId,
    },
    /// An administrator who acts as a user
    /// ([`Sessions::impersonate`](crate::sessions::Sessions::impersonate)). The log has this actor
    /// for each row of such a session, also if the host names the session as
    /// [`Session`](Self::Session).
    Impersonation {
        /// The administrator.
        administrator: UserId,
        /// The session that the administrator opened as the user. Its row `session.impersonated`
        /// names the user.
        session: SessionId,
    },
}

impl Actor {
    /// The user who acts, which is the administrator in an impersonation; `None` for the host
    /// program.
    ///
    /// ```
    /// use gatepost::{Actor, UserId};
    ///
    /// let ada: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(Actor::User(ada).user(), Some(ada));
    /// assert_eq!(Actor::Host.user(), None);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Host => None,
            Self::User(user)
            | Self::Session { user, .. }
            | Self::ApiKey { user, .. }
            | Self::Impersonation { administrator: user, .. } => Some(*user),
        }
    }

    /// The session in which the user acts; `None` for every other actor.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Session { session, .. } | Self::Impersonation { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// The API key with which the user acts; `None` for every other actor.
    #[must_use]
    pub const fn api_key(&self) -> Option<ApiKeyId> {
        match self {
            Self::ApiKey { key, .. } => Some(*key),
            _ => None,
        }
    }

    /// The kind of actor, as the file stores it.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User(_) => "user",
            Self::Session { .. } => "session",
            Self::ApiKey { .. } => "api_key",
            Self::Impersonation { .. } => "impersonation",
        }
    }
}

impl From<UserId> for Actor {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        let user = principal.user;
        match principal.credential {
            Credential::Session(session) => Self::Session { user, session },
            Credential::ApiKey(key) => Self::ApiKey { user, key },
        }
    }
}

impl From<Principal> for Actor {
    fn from(principal: Principal) -> Self {
        Self::from(&principal)
    }
}

/// The address and user agent of a client, as the host program reports them. Lists of sessions
/// show them, and the audit log stores them.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
///
/// use gatepost::ClientInfo;
///
/// let client_info = ClientInfo::new().ip(Ipv4Addr::LOCALHOST).user_agent("curl/8\n");
/// assert_eq!(client_info.address(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
/// assert_eq!(client_info.agent(), Some("curl/8\\u{a}"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ClientInfo {
    ip: Option<IpAddr>,
    user_agent: Option<String>,
}

impl ClientInfo {
    /// Client information with no address and no user agent.
    ///
    /// ```
    /// use gatepost::ClientInfo;
    ///
    /// assert_eq!((ClientInfo::new().address(), ClientInfo::new().agent()), (None, None));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address of the client. An IPv4 address in IPv6 form is stored as IPv4.
    #[must_use]
    pub fn ip(mut self, ip: impl Into<IpAddr>) -> Self {
        self.ip = Some(ip.into().to_canonical());
        self
    }

    /// Sets the user agent: control characters are escaped, and the first 512 bytes are stored.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl AsRef<str>) -> Self {
        let short = truncated(user_agent.as_ref(), USER_AGENT_MAX_BYTES);
        self.user_agent = Some(truncated(&escaped(short), USER_AGENT_MAX_BYTES).to_owned());
        self
    }

    /// The address; `None` if it was not set.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The user agent; `None` if it was not set.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// From the columns of the file, which are escaped already; `None` if both are null.
    pub(crate) fn from_columns(ip: Option<String>, user_agent: Option<String>) -> Option<Self> {
        let ip = ip.and_then(|text| text.parse().ok());
        (ip.is_some() || user_agent.is_some()).then_some(Self { ip, user_agent })
    }
}

impl From<IpAddr> for ClientInfo {
    fn from(ip: IpAddr) -> Self {
        Self::new().ip(ip)
    }
}

/// Whether the operation of an audit event was done or refused.
///
/// ```
/// use gatepost::audit::Outcome;
///
/// assert_eq!(Outcome::Refused.as_str(), "refused");
/// assert_eq!(Outcome::default(), Outcome::Done);
/// ```
#[expect(clippy::exhaustive_enums, reason = "complete: it was done or it was not")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// The operation was done.
    #[default]
    Done,
    /// The operation was refused.
    Refused,
}

impl Outcome {
    /// The text in the file. It never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "done" => Some(Self::Done),
            "refused" => Some(Self::Refused),
            _ => None,
        }
    }
}

/// One row for the audit log, except its actor and time, which the transaction adds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) outcome: Outcome,
    pub(crate) user: Option<UserId>,
    pub(crate) branch: Option<BranchId>,
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) api_key: Option<ApiKeyId>,
    pub(crate) device: Option<DeviceDigest>,
    pub(crate) client_info: Option<ClientInfo>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) count: Option<i64>,
    /// One line, escaped and bounded. Never an unknown username: users type passwords into that
    /// field by mistake.
    pub(crate) detail: Option<String>,
}

impl Event {
    pub(crate) fn new(kind: EventKind) -> Self {
        Self {
            kind,
            outcome: Outcome::Done,
            user: None,
            branch: None,
            organisation: None,
            session: None,
            api_key: None,
            device: None,
            client_info: None,
            reason: None,
            count: None,
            detail: None,
        }
    }

    pub(crate) fn user(self, user: impl Into<Option<UserId>>) -> Self {
        Self { user: user.into(), ..self }
    }

    pub(crate) fn branch(self, branch: impl Into<Option<BranchId>>) -> Self {
        Self { branch: branch.into(), ..self }
    }

    pub(crate) fn organisation(self, organisation: impl Into<Option<OrganisationId>>) -> Self {
        Self { organisation: organisation.into(), ..self }
    }

    pub(crate) fn session(self, session: impl Into<Option<SessionId>>) -> Self {
        Self { session: session.into(), ..self }
    }

    pub(crate) fn api_key(self, api_key: impl Into<Option<ApiKeyId>>) -> Self {
        Self { api_key: api_key.into(), ..self }
    }

    pub(crate) fn device(self, device: impl Into<Option<DeviceDigest>>) -> Self {
        Self { device: device.into(), ..self }
    }

    pub(crate) fn client_info(self, client_info: impl Into<Option<ClientInfo>>) -> Self {
        Self { client_info: client_info.into(), ..self }
    }

    pub(crate) fn count(self, count: impl Into<Option<i64>>) -> Self {
        Self { count: count.into(), ..self }
    }

    /// Marks the event as refused. A refusal needs a reason; an operation that was done may have
    /// one.
    pub(crate) fn refused(self, reason: &'static str) -> Self {
        Self { outcome: Outcome::Refused, reason: Some(reason), ..self }
    }

    pub(crate) fn reason(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub(crate) fn detail(self, detail: impl AsRef<str>) -> Self {
        let line = escaped(truncated(detail.as_ref(), EVENT_DETAIL_MAX_BYTES));
        Self { detail: Some(truncated(&line, EVENT_DETAIL_MAX_BYTES).to_owned()), ..self }
    }
}

/// An event of the host program's own, for [`Audit::record`](crate::audit::Audit::record): it is
/// stored in the same audit log as the events of the library.
///
/// ```
/// use gatepost::audit::{AuditFilter, HostEvent, Outcome};
/// use gatepost::{NewUser, Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// let event = HostEvent::new("invoice.printed")?.user(ada).outcome(Outcome::Refused);
/// store.audit().record(&[event.detail("number 7\nnumber 8")?])?;
///
/// let latest = &store.audit().latest(1, &AuditFilter::new().from_host())?[0];
/// assert_eq!((latest.user, latest.outcome), (Some(ada), Outcome::Refused));
/// assert_eq!(latest.detail.as_deref(), Some("number 7\\u{a}number 8"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct HostEvent {
    name: String,
    event: Event,
}

impl HostEvent {
    /// An event with the name `name`: 1 to 64 of `a-z 0-9 . _ -`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for any other name.
    ///
    /// ```
    /// use gatepost::audit::HostEvent;
    /// use gatepost::ErrorKind;
    ///
    /// assert_eq!(HostEvent::new("invoice.printed")?.name(), "invoice.printed");
    /// assert_eq!(HostEvent::new("").unwrap_err().kind(), ErrorKind::Invalid);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    pub fn new(name: &str) -> Result<Self> {
        if !is_plain_word(name, HOST_EVENT_NAME_MAX_BYTES, b"._-") {
            return Err(Error::invalid(
                "the name of the HostEvent is not 1 to 64 of a-z, 0-9, dot, underscore, dash",
            ));
        }
        Ok(Self { name: name.to_owned(), event: Event::new(EventKind::HostRecorded) })
    }

    /// Sets the user whom the event concerns. A row about an id that belongs to no user keeps
    /// neither client nor detail: their digest would have no salt that an erasure could delete.
    pub fn user(self, user: UserId) -> Self {
        Self { event: self.event.user(user), ..self }
    }

    /// Sets the session in which the event happened.
    pub fn session(self, session: SessionId) -> Self {
        Self { event: self.event.session(session), ..self }
    }

    /// Sets the outcome. The default is [`Outcome::Done`].
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.event.outcome = outcome;
        self
    }

    /// Sets the client from which the request came.
    pub fn client_info(self, client_info: ClientInfo) -> Self {
        Self { event: self.event.client_info(client_info), ..self }
    }

    /// Sets one line of detail. Control characters and backslashes are escaped, so that no text
    /// can forge a line of the log. Give it no secret.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if the escaped line is longer than 1,024 bytes.
    pub fn detail(self, detail: &str) -> Result<Self> {
        let too_long = Error::invalid("the detail of the HostEvent is longer than 1,024 bytes");
        if detail.len() > EVENT_DETAIL_MAX_BYTES || escaped(detail).len() > EVENT_DETAIL_MAX_BYTES
        {
            return Err(too_long);
        }
        Ok(Self { event: self.event.detail(detail), ..self })
    }

    /// The name of the event.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rest of the row.
    pub(crate) fn event(&self) -> &Event {
        &self.event
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::name::text::breaks_a_line;

    #[test]
    fn a_principal_names_the_session_or_the_key_that_acts() {
        let user = UserId::from_bytes([1; 16]);
        let key = Credential::ApiKey(ApiKeyId::from_bytes([2; 16]));
        let session = Credential::Session(SessionId::from_bytes([3; 16]));
        for credential in [key, session] {
            let actor = Actor::from(Principal { credential, ..Principal::for_tests(user) });
            assert_eq!(actor.user(), Some(user));
            assert_eq!(actor.api_key(), credential.api_key());
            assert_eq!(actor.session(), credential.session());
        }
        assert_eq!(Actor::default(), Actor::Host);
    }

    #[test]
    fn client_info_is_one_line_of_bounded_length() {
        let long = ClientInfo::new().user_agent("\n".repeat(5_000));
        let agent = long.agent().unwrap();
        assert!(agent.len() <= 512 && agent.starts_with("\\u{a}\\u{a}"));
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(ClientInfo::from(mapped).address(), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_host_event_is_checked_when_it_is_made() {
        for name in ["", "A", "a b", "a\n", "é", &"a".repeat(65)] {
            assert!(HostEvent::new(name).is_err(), "{name:?}");
        }
        let event = HostEvent::new("a.b-c_1").unwrap();
        assert!(event.clone().detail(&"a".repeat(1_024)).is_ok());
        assert!(event.clone().detail(&"a".repeat(1_025)).is_err());
        assert!(event.detail(&"\n".repeat(1_024)).is_err());
    }

    #[test]
    fn a_refusal_carries_its_reason() {
        let event = Event::new(EventKind::LoginRefused).refused("unknown");
        assert_eq!((event.outcome, event.reason), (Outcome::Refused, Some("unknown")));
        for outcome in [Outcome::Done, Outcome::Refused] {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_or_breaks_a_line(text in any::<String>()) {
            let event = Event::new(EventKind::UserUpdated).detail(&text);
            prop_assert!(!event.detail.unwrap().chars().any(breaks_a_line));
            prop_assert!(!ClientInfo::new().user_agent(&text).agent().unwrap().contains('\n'));
            let _ = HostEvent::new(&text);
            let _ = HostEvent::new("a").unwrap().detail(&text);
        }
    }
}
