//! The parameters of a body: a form of either encoding, or JSON. The client sends all three.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use axum::{Form, Json};
use data_encoding::BASE64;
use gatepost::{ErrorClass, Password, Timestamp};
use gatepost_axum::Rejection;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// The parameters of a body that no handler has taken yet. No error repeats a value: it may be a
/// password.
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// `None` if it is absent.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(super) fn required(&mut self, name: &str) -> Result<String, Rejection> {
        self.take(name).ok_or_else(|| invalid(format!("The parameter {name} is missing.")))
    }

    pub(super) fn password(&mut self) -> Option<Password> {
        self.take("password").map(Password::from)
    }

    /// The expiry of an access token.
    pub(super) fn not_valid_after(&mut self) -> Result<Option<Timestamp>, Rejection> {
        let detail = "The parameter not_valid_after is no time of RFC 3339.";
        let time = self.take("not_valid_after").map(|text| text.parse());
        time.transpose().map_err(|_| invalid(detail))
    }

    /// Attributes of a user, as JSON.
    ///
    /// Base64 of UTF-8 or, as the client of the service sends it, of Latin-1.
    pub(super) fn attributes(&mut self) -> Result<Option<String>, Rejection> {
        let Some(base64) = self.take("attributes") else { return Ok(None) };
        let detail = "The parameter attributes is not base64.";
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| invalid(detail))?;
        let latin1 = |bytes: Vec<u8>| bytes.into_iter().map(char::from).collect();
        Ok(Some(String::from_utf8(bytes).unwrap_or_else(|error| latin1(error.into_bytes()))))
    }

    /// Refuses what no handler has taken: to ignore it would suggest that it was done.
    pub(super) fn end(self) -> Result<(), Rejection> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(invalid("The body has a parameter that this call does not take.")),
        }
    }

    fn insert(&mut self, name: &str, value: String) -> Result<(), Rejection> {
        // The client sends `not_valid_after` with a space at its end in one call.
        match self.0.insert(name.trim().to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(invalid("The body has a parameter twice.")),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let kind = request.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_vec());
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        let mut fields = Self(BTreeMap::new());
        if kind.starts_with(b"multipart/form-data") {
            let multipart = Multipart::from_request(request, state).await;
            let mut multipart = multipart.map_err(|_| malformed())?;
            while let Some(field) = multipart.next_field().await.map_err(|_| malformed())? {
                let name = field.name().unwrap_or_default().to_owned();
                fields.insert(&name, field.text().await.map_err(|_| malformed())?)?;
            }
        } else if kind.starts_with(b"application/x-www-form-urlencoded") {
            let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
            for (name, value) in form.map_err(|_| malformed())?.0 {
                fields.insert(&name, value)?;
            }
        } else if kind.starts_with(b"application/json") {
            let json = Json::<Members>::from_request(request, state).await;
            for (name, value) in json.map_err(|_| malformed())?.0.0 {
                if let Some(value) = value {
                    fields.insert(&name, value)?;
                }
            }
        } else if !kind.is_empty() {
            return Err(malformed());
        }
        Ok(fields)
    }
}

/// The members of an object of JSON, also those that it has twice.
struct Members(Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

fn malformed() -> Rejection {
    invalid("The body is neither a form nor an object of texts in JSON.")
}

pub(super) fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::new(ErrorClass::Invalid, "invalid", detail)
}
