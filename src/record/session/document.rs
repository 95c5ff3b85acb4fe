//! The host's own small document of a session.

use super::{Sessions, require_live};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::storage::{ReadTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::id::SessionId;
use crate::value::limits::SESSION_DOCUMENT_MAX_BYTES;
use crate::value::name::JsonText;

/// The document of a session, and the version to name when it is set again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionDocument {
    /// Rises by one at each set.
    pub version: u64,
    /// The JSON text, as it was set.
    pub body: String,
}

impl Sessions<'_> {
    /// The document of a live session; none if it was never set.
    ///
    /// # Errors
    /// `NotFound` if the session is not live; `Busy`, `Io`, `Corrupt`.
    pub fn document(&self, session: SessionId) -> Result<Option<SessionDocument>> {
        self.store.read(|tx| {
            require_live(tx, session)?;
            stored(tx, session)
        })
    }

    /// Sets the document of a live session if it still has the version that the caller has read;
    /// 0 stands for none yet. Answers the new version.
    ///
    /// The document is JSON text of at most 4 KiB. It ends with the session, and stays when the
    /// session is renewed.
    ///
    /// # Errors
    /// `Invalid` for text that is no JSON or too long, `NotFound` if the session is not live,
    /// `Stale` if the version is another; `Busy`, `Full`, `Io`.
    ///
    /// ```
    /// # use gatepost::{DeviceId, NewUser, OpenSession, Options, Reason, Store};
    /// # let store = Store::in_memory(Options::for_tests())?;
    /// # let ada = store.users().create(NewUser::person("ada"))?;
    /// # let open = OpenSession::new(ada.id, DeviceId::new("till-1")?);
    /// # let session = store.sessions().open(open)?.granted()?.session.id;
    /// let version = store.sessions().set_document(session, r#"{"basket": 3}"#, 0)?;
    /// assert_eq!(store.sessions().document(session)?.unwrap().version, version);
    ///
    /// let late = store.sessions().set_document(session, "{}", 0).unwrap_err();
    /// assert_eq!(late.reason(), Reason::Stale);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_document(&self, session: SessionId, json: &str, version: u64) -> Result<u64> {
        let json = JsonText::new(
            json,
            "the document is empty, longer than 4,096 bytes or has a NUL character",
            SESSION_DOCUMENT_MAX_BYTES,
        )?;
        self.store.write(|tx| {
            let user = require_live(tx, session)?;
            if !tx.is_json(json.as_str())? {
                return Err(Error::invalid("the document is not JSON"));
            }
            let next = match stored(tx, session)? {
                None if version == 0 => {
                    tx.execute(
                        "INSERT INTO session_document (session_id, version, body)
                         VALUES (?1, 1, ?2)",
                        params![session, json.as_str()],
                    )?;
                    1
                }
                Some(document) if document.version == version => {
                    tx.execute(
                        "UPDATE session_document SET version = version + 1, body = ?2
                         WHERE session_id = ?1",
                        params![session, json.as_str()],
                    )?;
                    version.saturating_add(1)
                }
                _ => return Err(Error::stale("the document has another version by now")),
            };
            let event = Event::new(EventKind::SessionDocumentSet).user(user).session(session);
            Ok(Written::With(next, event))
        })
    }
}

fn stored(tx: &ReadTx<'_>, session: SessionId) -> Result<Option<SessionDocument>> {
    tx.one(
        "SELECT version, body FROM session_document WHERE session_id = ?1",
        params![session],
        |row| {
            let version: i64 = row.get(0)?;
            Ok(SessionDocument { version: version.unsigned_abs(), body: row.get(1)? })
        },
    )
}
