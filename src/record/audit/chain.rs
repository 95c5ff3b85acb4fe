//! The hash chain of the audit log: which bytes a row's hash covers.
//!
//! What a row keeps about a person beside ids is covered by a hash of its own, under the salts of
//! the users whom the row names. The chain covers that hash. So an erasure removes the values and
//! the salt, and leaves the chain as it is.

use super::person::{Persons, person_hash};
use super::{AuditSource, actor};
use crate::error::Result;
use crate::storage::WriteTx;
use crate::value::digest::{DeviceDigest, Digest, sha256};
use crate::value::event::{ClientInfo, Event};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::time::Timestamp;

/// A row as its hash covers it: every column except the hash itself.
pub(super) struct Row<'r> {
    pub(super) seq: i64,
    pub(super) source: i64,
    pub(super) salt: [u8; 8],
    pub(super) at: Timestamp,
    pub(super) event: &'r str,
    pub(super) outcome: &'r str,
    pub(super) actor: &'r str,
    pub(super) actor_user: Option<UserId>,
    pub(super) actor_via: Option<[u8; 16]>,
    pub(super) user: Option<UserId>,
    pub(super) branch: Option<BranchId>,
    pub(super) organisation: Option<OrganisationId>,
    pub(super) session: Option<SessionId>,
    pub(super) api_key: Option<ApiKeyId>,
    pub(super) device: Option<DeviceDigest>,
    pub(super) ip: Option<String>,
    pub(super) user_agent: Option<&'r str>,
    pub(super) reason: Option<&'r str>,
    pub(super) count: Option<i64>,
    pub(super) detail: Option<&'r str>,
    pub(super) person_hash: Digest,
}

impl<'r> Row<'r> {
    /// The next row of a source, about `event`, at the time of the transaction.
    pub(super) fn new(
        tx: &'r WriteTx<'_>,
        source: AuditSource,
        seq: i64,
        name: &'r str,
        event: &'r Event,
    ) -> Result<Self> {
        let actor = actor::of(tx, event)?;
        let persons = Persons::of(tx, event.user, actor.user())?;
        let via = match (actor.session(), actor.api_key()) {
            (Some(session), _) => Some(*session.as_bytes()),
            (None, Some(key)) => Some(*key.as_bytes()),
            (None, None) => None,
        };
        // Nothing is kept about a user who was erased, or about an id that belongs to no user: no
        // erasure could make its digest worthless.
        let kept = persons.are_all_salted;
        let client_info = event.client_info.as_ref().filter(|_| kept);
        let ip = client_info.and_then(ClientInfo::address).map(|ip| ip.to_string());
        let user_agent = client_info.and_then(ClientInfo::agent);
        let device = event.device.filter(|_| kept);
        let is_host = source == AuditSource::Host;
        let detail = event.detail.as_deref().filter(|_| kept || !is_host);
        let person_hash = person_hash(
            [persons.user_salt.as_deref(), persons.actor_salt.as_deref()],
            [
                device.as_ref().map(|digest| digest.as_bytes().as_slice()),
                ip.as_deref().map(str::as_bytes),
                user_agent.map(str::as_bytes),
                detail.filter(|_| is_host).map(str::as_bytes),
            ],
        );
        Ok(Self {
            seq,
            source: source.number(),
            salt: tx.salt(),
            at: tx.now(),
            event: name,
            outcome: event.outcome.as_str(),
            actor: actor.as_str(),
            actor_user: actor.user(),
            actor_via: via,
            user: event.user,
            branch: event.branch,
            organisation: event.organisation,
            session: event.session,
            api_key: event.api_key,
            device,
            ip,
            user_agent,
            reason: event.reason,
            count: event.count,
            detail,
            person_hash,
        })
    }

    /// The row's own hash, from the hash of the row before it.
    pub(super) fn link(&self, before: &Digest) -> Digest {
        let count = self.count.map(i64::to_be_bytes);
        let fixed = [self.seq, self.source, self.at.as_millis()];
        let words = [
            self.salt.as_slice(),
            self.event.as_bytes(),
            self.outcome.as_bytes(),
            self.actor.as_bytes(),
            self.person_hash.as_bytes(),
        ];
        let optional = [
            self.actor_user.as_ref().map(|id| id.as_bytes().as_slice()),
            self.actor_via.as_ref().map(|id| id.as_slice()),
            self.user.as_ref().map(|id| id.as_bytes().as_slice()),
            self.branch.as_ref().map(|id| id.as_bytes().as_slice()),
            self.organisation.as_ref().map(|id| id.as_bytes().as_slice()),
            self.session.as_ref().map(|id| id.as_bytes().as_slice()),
            self.api_key.as_ref().map(|id| id.as_bytes().as_slice()),
            self.reason.map(str::as_bytes),
            count.as_ref().map(|bytes| bytes.as_slice()),
            self.detail.filter(|_| !is_of_host(self.source)).map(str::as_bytes),
        ];
        link(before, fixed, words, optional)
    }
}

/// Hashes the bytes of the columns as they are, valid or not: the file may have been edited by
/// hand.
fn link(
    before: &Digest,
    fixed: [i64; 3],
    words: [&[u8]; 5],
    optional: [Option<&[u8]>; 10],
) -> Digest {
    let [seq, source, at] = fixed.map(i64::to_be_bytes);
    let mut parts: Vec<&[u8]> = vec![before.as_bytes(), &seq, &source, &at];
    parts.extend(words);
    for value in optional {
        // A part of its own marks presence: NULL and an empty text have different hashes.
        parts.push(if value.is_some() { &[1] } else { &[0] });
        parts.push(value.unwrap_or_default());
    }
    sha256("gatepost.audit.v1", &parts)
}

/// The hash that a row of the file should have, given the hash of the row before it.
pub(super) fn stored_link(
    row: &crate::storage::Row<'_>,
    before: &Digest,
) -> rusqlite::Result<Digest> {
    let count = row.get::<_, Option<i64>>(17)?.map(i64::to_be_bytes);
    let fixed = [row.get(0)?, row.get(1)?, row.get(2)?];
    let word = |column: usize| bytes(row, column).map(Option::unwrap_or_default);
    let optional = [
        bytes(row, 6)?,
        bytes(row, 7)?,
        bytes(row, 8)?,
        bytes(row, 9)?,
        bytes(row, 10)?,
        bytes(row, 11)?,
        bytes(row, 12)?,
        bytes(row, 16)?,
        count.as_ref().map(|bytes| bytes.as_slice()),
        bytes(row, 18)?.filter(|_| !is_of_host(fixed[1])),
    ];
    let words = [word(20)?, word(3)?, word(4)?, word(5)?, word(21)?];
    Ok(link(before, fixed, words, optional))
}

/// The library's own texts are about no person, so the chain covers them.
pub(super) const fn is_of_host(source: i64) -> bool {
    source == AuditSource::Host.number()
}

/// The bytes of a text or BLOB, also if they have the wrong length or are not UTF-8.
pub(super) fn bytes<'r>(
    row: &'r crate::storage::Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(row.get_ref(column)?.as_bytes_or_null()?)
}
