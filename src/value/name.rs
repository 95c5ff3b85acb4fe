//! Names: devices, users, e-mail addresses, configuration keys, privileges.

mod characters;
mod json;
pub(crate) mod text;
pub(crate) mod typed;

use std::sync::Arc;

use data_encoding::HEXLOWER;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::digest::{DeviceDigest, device_digest};
use super::limits::{
    CONFIGURATION_KEY_MAX_BYTES, DEVICE_ID_MAX_BYTES, EMAIL_MAX_BYTES, PRIVILEGE_MAX_BYTES,
    USERNAME_MAX_BYTES,
};
use super::random::{SystemRandom, random_bytes};
use crate::error::{Error, Result};

use characters::is_hidden;
pub(crate) use json::JsonText;
#[cfg(feature = "serde")]
pub(crate) use text::from_json;
pub(crate) use text::{folded, folded_secret, prose, required_text, searched, text, trimmed};
use text::{folded_name, has_loose_space};

/// The identifier of a device, chosen by its client: any text of 1 to 128 bytes.
///
/// A session belongs to the device on which it was opened, and verifies only with it. The
/// identifier is compared byte by byte. The file stores a digest of it, never the text. A client
/// without an identifier of its own draws [`DeviceId::random`] once and keeps it, for example in a
/// cookie.
///
/// An identifier alone opens no session. But the
/// [trust](crate::LoginRequest::trust_device) of a device is as good as its identifier is secret,
/// and a stranger who knows it can use up the failed attempts of known devices: random identifiers
/// that only their client knows prevent both.
///
/// ```
/// use gatepost::DeviceId;
///
/// let till = DeviceId::new("till-1")?;
/// assert_eq!(till.as_str(), "till-1");
/// assert_ne!(DeviceId::random()?, DeviceId::random()?);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[doc(alias("cookie", "fingerprint"))]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// The device with the identifier `text`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if the text is empty or longer than 128 bytes.
    ///
    /// ```
    /// use gatepost::{DeviceId, ErrorKind};
    ///
    /// assert_eq!(DeviceId::new("till-1")?.as_str(), "till-1");
    /// assert_eq!(DeviceId::new("").unwrap_err().kind(), ErrorKind::Invalid);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    pub fn new(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid(
                "the device identifier is empty, not 1 to 128 bytes: DeviceId::random makes one",
            ));
        }
        if text.len() > DEVICE_ID_MAX_BYTES {
            return Err(Error::invalid(
                "the device identifier is longer than 128 bytes: DeviceId::random makes a short \
                 one",
            ));
        }
        Ok(Self(Arc::from(text)))
    }

    /// A new device: 128 random bits of the operating system, as 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`NoRandom`](crate::ErrorKind::NoRandom) if the random source of the system fails.
    ///
    /// ```
    /// use gatepost::DeviceId;
    ///
    /// assert_eq!(DeviceId::random()?.as_str().len(), 32);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    pub fn random() -> Result<Self> {
        let bytes: [u8; 16] = random_bytes(&SystemRandom)?;
        Ok(Self(Arc::from(HEXLOWER.encode(&bytes))))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The handle under which a list shows this device, 8 hexadecimal digits of its digest: see
    /// [`KnownDevice`](crate::sessions::KnownDevice). A page marks the current device by it.
    ///
    /// ```
    /// use gatepost::DeviceId;
    ///
    /// let till = DeviceId::new("till-1")?;
    /// assert_eq!(till.handle().len(), 8);
    /// assert_eq!(till.handle(), DeviceId::new("till-1")?.handle());
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    #[must_use]
    pub fn handle(&self) -> String {
        DeviceDigest::of(self).handle()
    }
}

impl DeviceDigest {
    pub(crate) fn of(device: &DeviceId) -> Self {
        device_digest(device.as_str())
    }

    pub(crate) fn handle(&self) -> String {
        HEXLOWER.encode(self.as_bytes()).chars().take(8).collect()
    }
}

/// A username: `shown` is displayed, `key` is compared.
///
/// White space around the text is not part of the name: keyboards of telephones add it. Two users
/// cannot have names that differ only in case or compatibility forms. Case is that of the default
/// folding: a capital I is the case of a dotted i only. Joiners (U+200C, U+200D) are refused, which
/// RFC 8265 would allow in some contexts: two names must not differ in what is not drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Username {
    pub(crate) shown: String,
    pub(crate) key: String,
}

impl Username {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::invalid("the username is empty"));
        }
        // Before any normalisation, whose cost grows with the length.
        if text.len() > USERNAME_MAX_BYTES {
            return Err(Error::invalid("the username is longer than 128 bytes"));
        }
        if text.chars().any(is_hidden) {
            return Err(Error::invalid("the username has invisible or unknown characters"));
        }
        if has_loose_space(text) {
            return Err(Error::invalid(
                "the username has two spaces in a row, or another white space than a space",
            ));
        }
        if text.chars().next().is_some_and(is_combining_mark) {
            return Err(Error::invalid("the username begins with a combining mark"));
        }
        let key = folded_name(text, "the username has characters with misleading forms")?;
        let shown: String = text.nfc().collect();
        // Composing may lengthen a text, and the shown name must parse again.
        if shown.len() > USERNAME_MAX_BYTES {
            return Err(Error::invalid("the username is longer than 128 bytes"));
        }
        Ok(Self { shown, key })
    }
}

/// An e-mail address: `shown` is displayed, `key` is compared.
///
/// It has one `@` between two sides that are not empty, and no character that could make two
/// addresses, or a mail header, of it. White space around it is not part of it. Only a confirmation
/// shows whether it receives mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EmailAddress {
    pub(crate) shown: String,
    pub(crate) key: String,
}

impl EmailAddress {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > EMAIL_MAX_BYTES {
            return Err(Error::invalid("the e-mail address is longer than 254 bytes"));
        }
        let wrong = "the e-mail address is not one local part, one @ and one domain";
        let refused = |c: char| is_hidden(c) || c.is_whitespace() || "<>()[],;:\\\"".contains(c);
        if text.chars().any(refused) || !has_two_sides(text) {
            return Err(Error::invalid(wrong));
        }
        let key = folded_name(text, wrong)?;
        // Folding may turn a full-width sign into a second @, or a comma into a second address.
        if key.chars().any(refused) || !has_two_sides(&key) {
            return Err(Error::invalid(wrong));
        }
        let shown: String = text.nfc().collect();
        // Composing may lengthen a text, and the shown address must parse again.
        if shown.len() > EMAIL_MAX_BYTES {
            return Err(Error::invalid("the e-mail address is longer than 254 bytes"));
        }
        Ok(Self { shown, key })
    }
}

fn has_two_sides(address: &str) -> bool {
    address.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    })
}

/// The key of a configuration value: `shown` keeps its case, `key` ignores it and is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigurationKey {
    pub(crate) shown: String,
    pub(crate) key: String,
}

impl ConfigurationKey {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid("the configuration key is empty"));
        }
        if text.len() > CONFIGURATION_KEY_MAX_BYTES {
            return Err(Error::invalid("the configuration key is longer than 128 bytes"));
        }
        let wrong = "the configuration key has white space or invisible characters";
        let refused = |c: char| is_hidden(c) || c.is_whitespace();
        let key = folded_name(text, wrong)?;
        if text.chars().any(refused) || key.chars().any(refused) {
            return Err(Error::invalid(wrong));
        }
        let shown: String = text.nfc().collect();
        // Composing may lengthen a text, and the shown key must parse again.
        if shown.len() > CONFIGURATION_KEY_MAX_BYTES {
            return Err(Error::invalid("the configuration key is longer than 128 bytes"));
        }
        Ok(Self { shown, key })
    }
}

/// The name of a privilege: 1 to 64 of `a-z 0-9 . _ : -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Privilege(String);

impl Privilege {
    /// The privilege that makes an administrator (`Principal::is_admin`).
    pub(crate) const ADMIN: &'static str = "admin";

    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::check(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Whether a text is the name of a privilege.
    #[inline]
    pub(crate) fn check(text: &str) -> Result<()> {
        if is_plain_word(text, PRIVILEGE_MAX_BYTES, b"._:-") {
            return Ok(());
        }
        Err(Error::invalid(
            "the privilege's name is not 1 to 64 of a-z, 0-9, dot, underscore, colon, dash",
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text has 1 to `max_bytes` lower-case ASCII letters, digits and `signs`.
pub(crate) fn is_plain_word(text: &str, max_bytes: usize, signs: &[u8]) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || signs.contains(&byte);
    !text.is_empty() && text.len() <= max_bytes && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_collide(one: &str, two: &str) {
        let (one, two) = (Username::parse(one).unwrap(), Username::parse(two).unwrap());
        assert_eq!(one.key, two.key);
    }

    #[track_caller]
    fn check_refused(username: &str) {
        assert!(Username::parse(username).is_err(), "{username:?}");
    }

    #[test]
    fn names_that_look_the_same_collide() {
        check_collide("Ada", "ADA");
        check_collide("Ada", "ａｄａ");
        check_collide("straße", "STRASSE");
        check_collide("ΟΔΥΣΣΕΎΣ", "οδυσσεύς");
        check_collide("σ", "ς");
        check_collide("rené", "Rene\u{301}");
    }

    /// A keyboard of a telephone adds a space, a copied cell of a table a line feed.
    #[test]
    fn white_space_around_a_name_is_not_part_of_it() {
        for (before, after) in [("", " "), (" ", ""), ("\t", "\r\n"), ("\u{a0}", "\u{3000}")] {
            let ada = Username::parse(&format!("{before}Ada{after}")).unwrap();
            assert_eq!(Some(ada), Username::parse("Ada").ok());
            let address = EmailAddress::parse(&format!("{before}a@b{after}")).unwrap();
            assert_eq!(Some(address), EmailAddress::parse("a@b").ok());
        }
        check_refused("\u{200b}ada");
    }

    #[test]
    fn a_username_is_shown_as_typed() {
        assert_eq!(Username::parse("Ada Lovelace").unwrap().shown, "Ada Lovelace");
        assert_eq!(Username::parse("e\u{301}").unwrap().shown, "é");
    }

    #[test]
    fn invisible_characters_are_refused_in_usernames() {
        for hidden in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2066}',
            '\u{2060}',
            '\u{feff}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{e000}',
            '\u{378}',
            '\u{ffff}',
            '\u{fffd}',
            '\u{2028}',
            '\u{a0}',
            '\u{3000}',
            '\u{2800}',
            '\u{200c}',
            '\u{200e}',
        ] {
            check_refused(&format!("a{hidden}b"));
        }
        for text in ["", " ", "a  b", "\u{301}a", "a\u{b4}", "\u{a8}"] {
            check_refused(text);
        }
    }

    #[test]
    fn length_is_checked_before_and_after_folding() {
        assert!(Username::parse(&"a".repeat(128)).is_ok());
        check_refused(&"a".repeat(129));
        check_refused(&"\u{fdfa}".repeat(42));
        check_refused(&"a".repeat(100_000_000));
    }

    /// Three bytes as typed that compose to two: the length is that of the text as it came.
    #[test]
    fn length_is_that_of_the_text_as_it_came() {
        let letters = |count: usize| "e\u{301}".repeat(count);
        check_refused(&letters(43));
        assert!(ConfigurationKey::parse(&letters(43)).is_err());
        assert!(EmailAddress::parse(&format!("{}@b", letters(85))).is_err());
    }

    #[test]
    fn an_error_says_what_is_wrong_with_a_name() {
        let says = |refused: Error, words: &str| {
            assert!(refused.to_string().contains(words), "{refused}");
        };
        says(Username::parse("").unwrap_err(), "empty");
        says(Username::parse("a\u{200b}").unwrap_err(), "invisible");
        says(ConfigurationKey::parse("").unwrap_err(), "empty");
    }

    /// A composed letter of three bytes that Unicode composes never again: six bytes in NFC.
    #[test]
    fn length_is_checked_after_composing() {
        let letters = |count: usize| "\u{958}".repeat(count);
        let address = |count: usize| format!("{}@b", letters(count));
        assert!(Username::parse(&letters(21)).is_ok_and(|name| name.shown.len() == 126));
        check_refused(&letters(22));
        assert!(EmailAddress::parse(&address(42)).is_ok_and(|email| email.shown.len() == 254));
        assert!(EmailAddress::parse(&address(43)).is_err());
        assert!(ConfigurationKey::parse(&letters(21)).is_ok_and(|key| key.shown.len() == 126));
        assert!(ConfigurationKey::parse(&letters(22)).is_err());
    }

    #[test]
    fn an_email_address_has_two_sides() {
        let address = EmailAddress::parse("Ada@Example.com").unwrap();
        assert_eq!(
            (address.shown.as_str(), address.key.as_str()),
            ("Ada@Example.com", "ada@example.com")
        );
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a\n@b",
            "a@b,c@d",
            "<a@b>",
            "a\u{ff20}b@c",
            "a\u{ff20}b",
            "a\u{ff0c}b@c",
            "a\u{200b}@b",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
        assert!(EmailAddress::parse(&format!("a@{}", "b".repeat(252))).is_ok());
        assert!(EmailAddress::parse(&format!("a@{}", "b".repeat(253))).is_err());
    }

    #[test]
    fn a_configuration_key_keeps_its_case_and_ignores_it() {
        let key = ConfigurationKey::parse("Support.Pagination").unwrap();
        assert_eq!(key.shown, "Support.Pagination");
        assert_eq!(key.key, ConfigurationKey::parse("SUPPORT.pagination").unwrap().key);
        for text in ["", "a b", "a\tb", "a\u{200b}", "a\u{b4}b"] {
            assert!(ConfigurationKey::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_privilege_is_a_plain_word() {
        assert_eq!(Privilege::parse("admin").unwrap().as_str(), Privilege::ADMIN);
        assert!(Privilege::parse("reports:read_all.v-2").is_ok());
        for text in ["", "Admin", "a b", "é", "a\0", &"a".repeat(65)] {
            assert!(Privilege::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_device_is_any_text_of_its_length() {
        assert!(DeviceId::new("").is_err());
        assert!(DeviceId::new(&"é".repeat(64)).is_ok());
        assert!(DeviceId::new(&"é".repeat(65)).is_err());
        assert_eq!(DeviceId::random().unwrap().as_str().len(), 32);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Username::parse(&text);
            let _ = EmailAddress::parse(&text);
            let _ = ConfigurationKey::parse(&text);
            let _ = Privilege::parse(&text);
            let _ = DeviceId::new(&text);
        }

        #[test]
        fn a_shown_username_parses_to_itself(text in "\\PC{1,20}") {
            if let Ok(name) = Username::parse(&text) {
                let again = Username::parse(&name.shown);
                prop_assert_eq!(again.ok(), Some(name));
            }
        }
    }
}
