//! Who did what, to whom, from where, with what outcome: one row of the audit log.

mod kind;

use std::net::IpAddr;

pub use kind::EventKind;

use super::digest::DeviceDigest;
use super::facts::Facts;
use super::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use super::limits::{EVENT_DETAIL_MAX_BYTES, HOST_EVENT_NAME_MAX_BYTES, USER_AGENT_MAX_BYTES};
use super::name::is_plain_word;
use super::name::text::{escaped, truncated};
use crate::error::{Error, Result};

/// On whose behalf a call is made. Attribution only: it checks no privilege.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Actor {
    /// The program itself: the default.
    #[default]
    Host,
    /// A user whom the host knows by other means than a session.
    User(UserId),
    /// A user in a session.
    Session {
        /// Whose session it is.
        user: UserId,
        /// The session.
        session: SessionId,
    },
    /// A user's API key.
    ApiKey {
        /// Whose key it is.
        user: UserId,
        /// The key.
        key: ApiKeyId,
    },
}

impl Actor {
    /// The user who acts, if it is one.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Host => None,
            Self::User(user) | Self::Session { user, .. } | Self::ApiKey { user, .. } => {
                Some(*user)
            }
        }
    }

    /// The session in which somebody acts, if it is one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Session { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// The API key with which somebody acts, if it is one.
    #[must_use]
    pub const fn api_key(&self) -> Option<ApiKeyId> {
        match self {
            Self::ApiKey { key, .. } => Some(*key),
            _ => None,
        }
    }

    /// The kind of actor, as the file keeps it.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User(_) => "user",
            Self::Session { .. } => "session",
            Self::ApiKey { .. } => "api_key",
        }
    }
}

impl From<UserId> for Actor {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<&Facts> for Actor {
    fn from(facts: &Facts) -> Self {
        let user = facts.user;
        match (facts.session, facts.api_key) {
            (Some(session), _) => Self::Session { user, session },
            (None, Some(key)) => Self::ApiKey { user, key },
            (None, None) => Self::User(user),
        }
    }
}

impl From<Facts> for Actor {
    fn from(facts: Facts) -> Self {
        Self::from(&facts)
    }
}

/// Where a request came from, as far as the host tells. Shown in lists and kept in the log.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
///
/// use gatepost::Origin;
///
/// let origin = Origin::new().ip(Ipv4Addr::LOCALHOST).user_agent("curl/8\n");
/// assert_eq!(origin.address(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
/// assert_eq!(origin.agent(), Some("curl/8\\u{a}"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    ip: Option<IpAddr>,
    user_agent: Option<String>,
}

impl Origin {
    /// An origin of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The address of the client. An IPv4 address in IPv6 form is kept as IPv4.
    #[must_use]
    pub fn ip(mut self, ip: impl Into<IpAddr>) -> Self {
        self.ip = Some(ip.into().to_canonical());
        self
    }

    /// What the client calls itself: control characters are escaped, and 512 bytes are kept.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl AsRef<str>) -> Self {
        let short = truncated(user_agent.as_ref(), USER_AGENT_MAX_BYTES);
        self.user_agent = Some(truncated(&escaped(short), USER_AGENT_MAX_BYTES).to_owned());
        self
    }

    /// The address, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The name of the client, if it is known.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// As the file has it: already escaped. None if it has neither.
    pub(crate) fn from_columns(ip: Option<String>, user_agent: Option<String>) -> Option<Self> {
        let ip = ip.and_then(|text| text.parse().ok());
        (ip.is_some() || user_agent.is_some()).then_some(Self { ip, user_agent })
    }
}

impl From<IpAddr> for Origin {
    fn from(ip: IpAddr) -> Self {
        Self::new().ip(ip)
    }
}

/// How a thing ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    #[default]
    Done,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// As the file keeps it.
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

/// One row for the audit log, but for its actor and time, which the transaction knows.
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
    pub(crate) origin: Option<Origin>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) count: Option<i64>,
    /// One line, escaped and bounded. Never a name that nobody has: people type passwords there.
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
            origin: None,
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

    pub(crate) fn origin(self, origin: impl Into<Option<Origin>>) -> Self {
        Self { origin: origin.into(), ..self }
    }

    pub(crate) fn count(self, count: impl Into<Option<i64>>) -> Self {
        Self { count: count.into(), ..self }
    }

    /// A refusal needs a reason; a deed may have one.
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

/// Something of the host's own, to be kept in the same log, so that every request has a user.
///
/// ```
/// use gatepost::HostEvent;
///
/// let event = HostEvent::new("invoice.printed")?.detail("number 7\nnumber 8")?;
/// assert_eq!(event.name(), "invoice.printed");
/// assert!(HostEvent::new("Invoice printed").is_err());
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct HostEvent {
    name: String,
    event: Event,
}

impl HostEvent {
    /// An event of that name: 1 to 64 of `a-z 0-9 . _ -`.
    ///
    /// # Errors
    /// [`Reason::Invalid`](crate::Reason::Invalid) for any other name.
    pub fn new(name: &str) -> Result<Self> {
        if !is_plain_word(name, HOST_EVENT_NAME_MAX_BYTES, b"._-") {
            return Err(Error::invalid(
                "the event's name is not 1 to 64 of a-z, 0-9, dot, underscore, dash",
            ));
        }
        Ok(Self { name: name.to_owned(), event: Event::new(EventKind::HostRecorded) })
    }

    /// The user whom it concerns.
    pub fn user(self, user: UserId) -> Self {
        Self { event: self.event.user(user), ..self }
    }

    /// The session in which it happened.
    pub fn session(self, session: SessionId) -> Self {
        Self { event: self.event.session(session), ..self }
    }

    /// How it ended; [`Outcome::Done`] if left out.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.event.outcome = outcome;
        self
    }

    /// Where it came from.
    pub fn origin(self, origin: Origin) -> Self {
        Self { event: self.event.origin(origin), ..self }
    }

    /// One line about it. Control characters and backslashes are escaped, so that no text can
    /// forge a line of the log. Give it no secret.
    ///
    /// # Errors
    /// [`Reason::Invalid`](crate::Reason::Invalid) if the escaped line is longer than 1,024 bytes.
    pub fn detail(self, detail: &str) -> Result<Self> {
        let too_long = Error::invalid("the event's detail is longer than 1,024 bytes");
        if detail.len() > EVENT_DETAIL_MAX_BYTES || escaped(detail).len() > EVENT_DETAIL_MAX_BYTES
        {
            return Err(too_long);
        }
        Ok(Self { event: self.event.detail(detail), ..self })
    }

    /// The name that the host gave.
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
    fn facts_name_the_session_or_the_key_that_acts() {
        let user = UserId::from_bytes([1; 16]);
        let mut facts = Facts::for_tests(user);
        assert_eq!(Actor::from(&facts), Actor::User(user));
        facts.api_key = Some(ApiKeyId::from_bytes([2; 16]));
        assert_eq!(Actor::from(&facts).api_key(), facts.api_key);
        facts.session = Some(SessionId::from_bytes([3; 16]));
        assert_eq!(Actor::from(facts).session(), facts.session);
        assert_eq!(Actor::from(facts).user(), Some(user));
        assert_eq!(Actor::default(), Actor::Host);
    }

    #[test]
    fn an_origin_is_one_line_of_bounded_length() {
        let long = Origin::new().user_agent("\n".repeat(5_000));
        let agent = long.agent().unwrap();
        assert!(agent.len() <= 512 && agent.starts_with("\\u{a}\\u{a}"));
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(Origin::from(mapped).address(), Some("192.0.2.1".parse().unwrap()));
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
            prop_assert!(!Origin::new().user_agent(&text).agent().unwrap().contains('\n'));
            let _ = HostEvent::new(&text);
            let _ = HostEvent::new("a").unwrap().detail(&text);
        }
    }
}
