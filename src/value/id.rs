//! Ids: UUIDs, of version 7 when drawn here, with one type for each kind of record.

mod page;

use std::fmt;
use std::str::FromStr;

pub use page::Page;
pub(crate) use page::rows;
use uuid::Uuid;

use super::random::{RandomSource, random_bytes};
use super::time::Timestamp;
use crate::error::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $invalid:literal) => {
        $(#[$doc])*
        ///
        /// A UUID of version 7, unless an import gave another: of two ids that the library drew,
        /// the later sorts after the earlier. Not a secret.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a UUID, for a host that stores it as one.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// The id of a UUID that [`as_uuid`](Self::as_uuid) returned. Any UUID is accepted.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new id from the time and ten random bytes.
            pub(crate) fn draw(now: Timestamp, random: &dyn RandomSource) -> Result<Self> {
                draw(now, random).map(Self)
            }

            pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        /// Writes the hyphenated form in lower case.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        /// Reads the hyphenated form, in any case. Fails with
        /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for every other text.
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse(text).map(Self).ok_or(Error::invalid($invalid))
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(
                &self,
                to: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(
                from: D,
            ) -> std::result::Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// The id of a user.
    ///
    /// ```
    /// use gatepost::UserId;
    ///
    /// let id: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(id.to_string(), "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77");
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    UserId, "this is not the id of a user"
}

id! {
    /// The id of an organisation.
    ///
    /// ```
    /// use gatepost::OrganisationId;
    ///
    /// let id: OrganisationId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(OrganisationId::from_uuid(id.as_uuid()), id);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    OrganisationId, "this is not the id of an organisation"
}

id! {
    /// The id of a branch.
    ///
    /// ```
    /// use gatepost::BranchId;
    ///
    /// let id: BranchId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(BranchId::from_uuid(id.as_uuid()), id);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    BranchId, "this is not the id of a branch"
}

id! {
    /// The id of a session. It is safe in lists and logs: without the token's secret it verifies
    /// as nothing.
    ///
    /// ```
    /// use gatepost::SessionId;
    ///
    /// let id: SessionId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(SessionId::from_uuid(id.as_uuid()), id);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    SessionId, "this is not the id of a session"
}

id! {
    /// The id of an API key. It is safe in lists and logs: without the key's secret it verifies as
    /// nothing.
    ///
    /// ```
    /// use gatepost::ApiKeyId;
    ///
    /// let id: ApiKeyId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(ApiKeyId::from_uuid(id.as_uuid()), id);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ApiKeyId, "this is not the id of an API key"
}

id! {
    /// The id of a one-time token. It is safe in lists and logs: without the token's secret it
    /// proves nothing.
    ///
    /// ```
    /// use gatepost::sessions::OneTimeTokenId;
    ///
    /// let id: OneTimeTokenId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_eq!(OneTimeTokenId::from_uuid(id.as_uuid()), id);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    OneTimeTokenId, "this is not the id of a one-time token"
}

/// The bytes of a new id, for a row that has no public handle.
pub(crate) fn draw_bytes(now: Timestamp, random: &dyn RandomSource) -> Result<[u8; 16]> {
    draw(now, random).map(Uuid::into_bytes)
}

fn draw(now: Timestamp, random: &dyn RandomSource) -> Result<Uuid> {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let bytes: [u8; 10] = random_bytes(random)?;
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
}

/// Accepts one form, so that an id has one text: with 36 bytes, only the hyphenated form parses.
fn parse(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok()
}

impl UserId {
    /// The nil UUID, which no user has: it is never drawn.
    pub(crate) const NIL: Self = Self::from_bytes([0; 16]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::random::SystemRandom;
    use crate::value::random::tests::NoRandom;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = UserId::draw(Timestamp::from_millis(1_000), &SystemRandom).unwrap();
        let late = UserId::draw(Timestamp::from_millis(1_001), &SystemRandom).unwrap();
        assert!(early < late);
        assert_eq!(early.as_uuid().get_version_num(), 7);
        assert!(UserId::draw(Timestamp::from_millis(i64::MIN), &SystemRandom).is_ok());
        assert!(UserId::draw(Timestamp::from_millis(i64::MAX), &SystemRandom).is_ok());
    }

    #[test]
    fn without_random_bytes_there_is_no_id() {
        assert!(SessionId::draw(Timestamp::from_millis(0), &NoRandom).is_err());
    }

    #[test]
    fn only_the_hyphenated_form_is_read() {
        let id = BranchId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse::<BranchId>().unwrap(), id);
        assert_eq!(id.to_string().to_uppercase().parse::<BranchId>().unwrap(), id);
        assert_eq!(format!("{id:?}"), "BranchId(07070707-0707-0707-0707-070707070707)");
        for form in [
            id.as_uuid().simple().to_string(),
            id.as_uuid().urn().to_string(),
            id.as_uuid().braced().to_string(),
            format!(" {id}"),
        ] {
            assert!(form.parse::<BranchId>().is_err(), "{form}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<UserId>();
        }

        #[test]
        fn what_is_shown_is_read(bytes: [u8; 16]) {
            let id = ApiKeyId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<ApiKeyId>().unwrap(), id);
            prop_assert_eq!(id.as_bytes(), &bytes);
        }
    }
}
