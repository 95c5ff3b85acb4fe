//! Reading: names in any case, and no secret in an error.
//!
//! Everything is asked for as "anything": a format that is told what to expect words the error
//! about what it found itself, with the value in it.

use std::fmt;

use serde::de::value::UnitDeserializer;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::value::secret::{Password, Secret};

/// Reads an object whose names may come in any ASCII case. What may be absent is an `Option`.
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

                    // The usual error would repeat the text, which could be a misplaced secret.
                    fn visit_str<E: Error>(self, _: &str) -> Result<$type, E> {
                        Err(E::custom("a text stands where an object should"))
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$type, A::Error> {
                        $(let mut $field = None;)+
                        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                            $(if name.eq_ignore_ascii_case($name) {
                                if $field.is_some() {
                                    return Err(A::Error::duplicate_field($name));
                                }
                                $field = Some(map.next_value()?);
                                continue;
                            })+
                            map.next_value::<IgnoredAny>()?;
                        }
                        $(let $field = match $field {
                            Some(value) => value,
                            None => $crate::wire::read::absent($name)?,
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

/// What stands for a name that is not there: nothing for an `Option`, an error for all else.
pub(super) fn absent<'de, T: Deserialize<'de>, E: Error>(name: &'static str) -> Result<T, E> {
    T::deserialize(UnitDeserializer::<E>::new()).map_err(|_| E::missing_field(name))
}

/// Reading takes the text over; nothing writes it back.
impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Hidden).map(Self::new)
    }
}

/// Reading takes the text over; nothing writes it back.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Hidden).map(Self::new)
    }
}

/// A text of which no error repeats anything, not even if it came as a number.
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

    fn visit_i64<E: Error>(self, _: i64) -> Result<String, E> {
        number()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<String, E> {
        number()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<String, E> {
        number()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<String, E> {
        number()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<String, E> {
        number()
    }
}

fn number<E: Error>() -> Result<String, E> {
    Err(E::custom("a number stands where a text should"))
}
