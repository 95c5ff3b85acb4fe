//! The fields of one record, taken by name and type. The cells of CSV are texts, so each type can
//! be read from a text too; an empty text is the same as none.

use gatepost::uuid::Uuid;
use gatepost::{BranchId, OrganisationId, Timestamp, UserId};
use serde_json::{Map, Value};

/// A value, or what it is not, in a sentence without the value.
pub(super) type Taken<T> = std::result::Result<T, String>;

/// The namespace of the ids that are made from the ids of other systems (RFC 9562, section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x5a3c_1f0e_7d42_4b96_8f21_c06d_93e7_ab54);

pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    pub(super) fn text(&mut self, name: &str) -> Taken<Option<String>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            // Any other was rounded by the parser: two of them may have become one.
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Ok(Some(number.to_string()))
            }
            Some(Value::Number(_)) => {
                Err(format!("{name} is no whole number of 64 bits: write it as a text"))
            }
            Some(_) => Err(format!("{name} is no text")),
        }
    }

    pub(super) fn required(&mut self, name: &str) -> Taken<String> {
        self.text(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    pub(super) fn flag(&mut self, name: &str) -> Taken<Option<bool>> {
        if let Some(Value::Bool(flag)) = self.0.get(name) {
            let flag = *flag;
            self.0.remove(name);
            return Ok(Some(flag));
        }
        match self.text(name)?.map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(format!("{name} is neither true nor false")),
        }
    }

    pub(super) fn whole(&mut self, name: &str) -> Taken<Option<u64>> {
        let number = self.text(name)?.map(|text| text.parse());
        number.transpose().map_err(|_| format!("{name} is no whole number"))
    }

    /// A time as RFC 3339, perhaps with a space in the place of its `T`.
    pub(super) fn time(&mut self, name: &str) -> Taken<Option<Timestamp>> {
        let time = self.text(name)?.map(|text| text.replacen(' ', "T", 1).parse());
        time.transpose().map_err(|_| format!("{name} is not of the form 2026-01-31T09:00:00Z"))
    }

    /// Texts: an array, or separated by spaces.
    pub(super) fn list(&mut self, name: &str) -> Taken<Vec<String>> {
        match self.0.remove(name) {
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(format!("{name} has something that is no text")),
                })
                .collect(),
            Some(other) => {
                self.0.insert(name.to_owned(), other);
                let text = self.text(name)?.unwrap_or_default();
                Ok(text.split_whitespace().map(str::to_owned).collect())
            }
            None => Ok(Vec::new()),
        }
    }

    /// Django's natural keys: arrays of texts.
    pub(super) fn natural_keys(&mut self, name: &str) -> Taken<Vec<Vec<String>>> {
        let keys = self.0.remove(name).unwrap_or(Value::Array(Vec::new()));
        serde_json::from_value(keys)
            .map_err(|_| format!("{name} has no natural keys: dump with --natural-foreign"))
    }

    pub(super) fn object(&mut self, name: &str) -> Taken<Self> {
        match self.0.remove(name) {
            Some(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(format!("{name} is no object")),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Refuses a field that no rule has taken, unless it is empty.
    pub(super) fn finish(self) -> Taken<()> {
        let is_empty =
            |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
        match self.0.into_iter().find(|(_, value)| !is_empty(value)) {
            Some((name, _)) => Err(format!("{name} is no field of this record")),
            None => Ok(()),
        }
    }
}

pub(super) fn user_id(system: &str, text: &str) -> UserId {
    UserId::from_uuid(uuid(&format!("{system}/user"), text))
}

pub(super) fn branch_id(text: &str) -> BranchId {
    BranchId::from_uuid(uuid("gatepost/branch", text))
}

pub(super) fn organisation_id(text: &str) -> OrganisationId {
    OrganisationId::from_uuid(uuid("gatepost/organisation", text))
}

/// The UUID that the text is, or else the same one for the same text each time.
fn uuid(kind: &str, text: &str) -> Uuid {
    Uuid::try_parse(text)
        .unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, format!("{kind}/{text}").as_bytes()))
}
