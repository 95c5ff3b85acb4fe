//! The host's own small JSON data of a session.

use super::{Sessions, require_live};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::storage::{ReadTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::id::{SessionId, UserId};
use crate::value::limits::SESSION_DATA_MAX_BYTES;
use crate::value::name::JsonText;
use crate::value::version::Version;

/// The host's data of a session, with its version for the next compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SessionData<T> {
    /// The version, which rises by one at each write.
    pub version: Version,
    /// The data: of the type asked for, or the JSON text as it was stored.
    pub value: T,
}

/// The data of every session of a user that has some, live or not.
pub(crate) fn data_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<String>> {
    tx.all(
        "SELECT d.body FROM session AS s JOIN session_document AS d ON d.session_id = s.id
         WHERE s.user_id = ?1 ORDER BY s.id",
        params![user],
        |row| row.get(0),
    )
}

impl Sessions<'_> {
    /// Returns the data of a live session as JSON text; `None` if it was never set.
    ///
    /// The id may be of any user's session. If a caller chooses it, the host first checks that the
    /// session is the caller's, for example that it is `principal.credential.session()`.
    ///
    /// ```
    /// use gatepost::sessions::Version;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let (sessions, id) = (store.sessions(), reply.session.id);
    /// assert_eq!(sessions.data_json(id)?, None);
    /// sessions.set_data_json(id, r#"{"basket": 3}"#, Version::NONE)?;
    /// let data = sessions.data_json(id)?.map(|data| data.value);
    /// assert_eq!(data.as_deref(), Some(r#"{"basket": 3}"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the session is not live.
    pub fn data_json(&self, session: SessionId) -> Result<Option<SessionData<String>>> {
        self.store.read(|tx| {
            require_live(tx, session)?;
            stored(tx, session)
        })
    }

    /// Sets the data of a live session as JSON text, at most 4,096 bytes, if its version is still
    /// `version` (compare-and-set). Returns the new version. JSON that another reader could refuse
    /// is `Invalid`: a lone surrogate, more than 127 levels, a number beyond a double, an object
    /// with the same name twice.
    ///
    /// The version before the first write is [`Version::NONE`]. The data stays when the session is
    /// renewed and is deleted with it.
    ///
    /// The id may be of any user's session. If a caller chooses it, the host first checks that the
    /// session is the caller's, for example that it is `principal.credential.session()`.
    ///
    /// ```
    /// use gatepost::ErrorKind;
    /// use gatepost::sessions::Version;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let (sessions, id) = (store.sessions(), reply.session.id);
    /// let version = sessions.set_data_json(id, r#"{"basket": 3}"#, Version::NONE)?;
    /// assert_eq!(sessions.data_json(id)?.map(|data| data.version), Some(version));
    ///
    /// let late = sessions.set_data_json(id, "{}", Version::NONE).unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::Stale);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text is not JSON or longer than 4,096 bytes;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the session is not live;
    /// - [`Stale`](crate::ErrorKind::Stale) if the data has another version.
    pub fn set_data_json(
        &self,
        session: SessionId,
        json: &str,
        version: Version,
    ) -> Result<Version> {
        let json = JsonText::new(
            json,
            "the session data is empty, longer than 4,096 bytes or has a NUL character",
            SESSION_DATA_MAX_BYTES,
        )?;
        self.store.write(|tx| {
            let user = require_live(tx, session)?;
            if !tx.is_json(json.as_str())? {
                return Err(Error::invalid("the session data is not valid JSON"));
            }
            let next = match stored(tx, session)? {
                None if version == Version::NONE => {
                    tx.execute(
                        "INSERT INTO session_document (session_id, version, body)
                         VALUES (?1, 1, ?2)",
                        params![session, json.as_str()],
                    )?;
                    version.next()
                }
                Some(data) if data.version == version => {
                    tx.execute(
                        "UPDATE session_document SET version = version + 1, body = ?2
                         WHERE session_id = ?1",
                        params![session, json.as_str()],
                    )?;
                    version.next()
                }
                _ => {
                    return Err(Error::stale(
                        "set_data: the version is not the one that the session data has now",
                    ));
                }
            };
            let event = Event::new(EventKind::SessionDataSet).user(user).session(session);
            Ok(Written::With(next, event))
        })
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl Sessions<'_> {
    /// Returns the data of a live session as a `T`; `None` if it was never set.
    ///
    /// The id may be of any user's session. If a caller chooses it, the host first checks that the
    /// session is the caller's, for example that it is `principal.credential.session()`.
    ///
    /// ```
    /// use gatepost::sessions::Version;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// struct Basket {
    ///     pieces: u32,
    /// }
    ///
    /// let (sessions, id) = (store.sessions(), reply.session.id);
    /// assert_eq!(sessions.data::<Basket>(id)?, None);
    /// sessions.set_data(id, &Basket { pieces: 3 }, Version::NONE)?;
    /// assert_eq!(sessions.data::<Basket>(id)?.map(|data| data.value.pieces), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`data_json`](Self::data_json), and:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the data is not a `T`.
    pub fn data<T: serde::de::DeserializeOwned>(
        &self,
        session: SessionId,
    ) -> Result<Option<SessionData<T>>> {
        let Some(SessionData { version, value }) = self.data_json(session)? else {
            return Ok(None);
        };
        let value = crate::value::name::from_json(
            &value,
            "the session data is not of the type that is asked for",
        )?;
        Ok(Some(SessionData { version, value }))
    }

    /// Sets the data of a live session as [`set_data_json`](Self::set_data_json) does, from a value
    /// that is written as JSON.
    ///
    /// The id may be of any user's session. If a caller chooses it, the host first checks that the
    /// session is the caller's, for example that it is `principal.credential.session()`.
    ///
    /// JSON has no NaN and no infinity: such a float is stored as `null`, which
    /// [`data`](Self::data) does not read as a float again. Replace it before, or write a type of
    /// your own for it.
    ///
    /// ```
    /// use gatepost::sessions::Version;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let (sessions, id) = (store.sessions(), reply.session.id);
    /// let version = sessions.set_data(id, &["tea", "salt"], Version::NONE)?;
    /// sessions.set_data(id, &["tea"], version)?;
    /// let data = sessions.data::<Vec<String>>(id)?.map(|data| data.value);
    /// assert_eq!(data, Some(vec!["tea".into()]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`set_data_json`](Self::set_data_json), and:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the value cannot be written as JSON.
    pub fn set_data<T: serde::Serialize + ?Sized>(
        &self,
        session: SessionId,
        value: &T,
        version: Version,
    ) -> Result<Version> {
        let json = serde_json::to_string(value)
            .map_err(|_| Error::invalid("the session data cannot be written as JSON"))?;
        self.set_data_json(session, &json, version)
    }
}

fn stored(tx: &ReadTx<'_>, session: SessionId) -> Result<Option<SessionData<String>>> {
    tx.one(
        "SELECT version, body FROM session_document WHERE session_id = ?1",
        params![session],
        |row| {
            let version: i64 = row.get(0)?;
            let version = Version::from_u64(version.unsigned_abs());
            Ok(SessionData { version, value: row.get(1)? })
        },
    )
}
