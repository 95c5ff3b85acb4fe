//! Deserialisation with names in any case, and without what was typed in an error.
//!
//! A person may type a password into any field of a form. So an error of a value names its field
//! and nothing else. Outside a field, values are requested with `deserialize_any`: a format that
//! knows the expected type would write the error itself, with the value in it.

use std::fmt;

use serde::de::value::UnitDeserializer;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::value::secret::{Password, Secret};

/// Reads an object whose names may have any ASCII case. A name that may be absent is an `Option`.
macro_rules! read_in_any_case {
    ($type:ident { $($field:ident = $name:literal),+ $(,)? }) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

                struct Fields;

                impl<'de> Visitor<'de> for Fields {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    $crate::wire::trustid::read::refuse!(
                        "expected an object, found another value":
                        visit_str(&str), visit_bool(bool), visit_char(char), visit_f64(f64),
                        visit_i64(i64), visit_u64(u64), visit_i128(i128), visit_u128(u128),
                    );

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$type, A::Error> {
                        $(let mut $field = None;)+
                        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                            $(if name.eq_ignore_ascii_case($name) {
                                if $field.is_some() {
                                    return Err(A::Error::duplicate_field($name));
                                }
                                // The error of the value would quote it.
                                $field = Some(map.next_value().map_err(|_| {
                                    A::Error::custom(concat!(
                                        "the value of ", $name, " is malformed or of another type"
                                    ))
                                })?);
                                continue;
                            })+
                            map.next_value::<IgnoredAny>()?;
                        }
                        $(let $field = match $field {
                            Some(value) => value,
                            None => $crate::wire::trustid::read::absent($name)?,
                        };)+
                        Ok($type { $($field),+ })
                    }
                }

                from.deserialize_any(Fields)
            }
        }
    };
}
pub(super) use read_in_any_case;

/// Methods of a visitor that refuse a value with this text, which does not quote it.
macro_rules! refuse {
    ($what:literal: $($visit:ident($type:ty)),+ $(,)?) => {
        $(fn $visit<E: serde::de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(E::custom($what))
        })+
    };
}
pub(super) use refuse;

/// The value of a name that is absent: `None` for an `Option`, an error for every other type.
pub(super) fn absent<'de, T: Deserialize<'de>, E: Error>(name: &'static str) -> Result<T, E> {
    T::deserialize(UnitDeserializer::<E>::new()).map_err(|_| E::missing_field(name))
}

/// Moves the text into the value; there is no `Serialize`.
impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Hidden).map(Self::new)
    }
}

/// Moves the text into the value; there is no `Serialize`.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Hidden).map(Self::new)
    }
}

/// Reads a text that no error quotes, even if the value is a number.
struct Hidden;

impl Visitor<'_> for Hidden {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    refuse!(
        "expected a text, found another value":
        visit_bool(bool), visit_f64(f64), visit_i64(i64), visit_u64(u64), visit_i128(i128),
        visit_u128(u128),
    );
}
