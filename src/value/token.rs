//! Tokens: a prefix that names the kind, then base64url of id, secret and checksum.
//!
//! ```text
//! text  = prefix (4) base64url-without-padding (70)
//! bytes = id (16)  secret (32)  CRC-32 (4, big-endian, over prefix, id and secret)
//! ```
//!
//! The checksum refuses junk without a lookup, and lets a scanner recognise leaked tokens; it is
//! no protection against forgery. Each token has one text: spare bits of the last character are
//! zero.

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::digest::{Digest, secret_hash};
use super::limits::{TOKEN_SECRET_BYTES, TOKEN_TEXT_BYTES};
use super::random::{RandomSource, random_bytes};
use super::secret::Secret;
use crate::error::Result;

const PREFIX_BYTES: usize = 4;
const RAW_BYTES: usize = 16 + TOKEN_SECRET_BYTES + 4;

/// The purpose of a token; a token of one kind is never accepted as another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TokenKind {
    Session,
    ApiKey,
    OneTime,
    Ticket,
    Pending,
}

impl TokenKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Session, Self::ApiKey, Self::OneTime, Self::Ticket, Self::Pending];

    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "gps_",
            Self::ApiKey => "gpk_",
            Self::OneTime => "gpo_",
            Self::Ticket => "gpt_",
            Self::Pending => "gpm_",
        }
    }
}

/// The parts of a token; the secret is replaced by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParsedToken {
    pub(crate) kind: TokenKind,
    pub(crate) id: [u8; 16],
    pub(crate) secret_hash: Digest,
}

/// Reads a token; `None` for every text that [`mint`] cannot have made.
pub(crate) fn parse(text: &str) -> Option<ParsedToken> {
    let (kind, id, secret) = read(text)?;
    Some(ParsedToken { kind, id, secret_hash: secret_hash(&secret) })
}

/// The parts of a token; `None` for every text that [`write`] cannot have made.
pub(super) fn read(
    text: &str,
) -> Option<(TokenKind, [u8; 16], Zeroizing<[u8; TOKEN_SECRET_BYTES]>)> {
    if text.len() != TOKEN_TEXT_BYTES {
        return None;
    }
    let (prefix, body) = text.as_bytes().split_first_chunk::<PREFIX_BYTES>()?;
    let kind = TokenKind::ALL.into_iter().find(|kind| kind.prefix().as_bytes() == prefix)?;
    let mut raw = Zeroizing::new([0_u8; RAW_BYTES]);
    BASE64URL_NOPAD.decode_mut(body, raw.as_mut_slice()).ok()?;
    let (id, rest) = raw.split_first_chunk::<16>()?;
    let (secret, checksum) = rest.split_first_chunk::<TOKEN_SECRET_BYTES>()?;
    if checksum != crc(kind, id, secret) {
        return None;
    }
    Some((kind, *id, Zeroizing::new(*secret)))
}

/// Makes a token for a row: its text, for its owner, and the hash to store.
pub(crate) fn mint(
    kind: TokenKind,
    id: [u8; 16],
    random: &dyn RandomSource,
) -> Result<(Secret, Digest)> {
    let secret = Zeroizing::new(random_bytes::<TOKEN_SECRET_BYTES>(random)?);
    Ok((write(kind, &id, &secret), secret_hash(&secret)))
}

pub(super) fn write(kind: TokenKind, id: &[u8; 16], secret: &[u8; TOKEN_SECRET_BYTES]) -> Secret {
    let checksum = crc(kind, id, secret);
    let mut raw = Zeroizing::new([0_u8; RAW_BYTES]);
    let parts = id.iter().chain(secret).chain(&checksum);
    for (to, from) in raw.iter_mut().zip(parts) {
        *to = *from;
    }
    // Allocate the whole capacity: a text that grows leaves copies of the secret behind.
    let mut text = String::with_capacity(TOKEN_TEXT_BYTES);
    text.push_str(kind.prefix());
    BASE64URL_NOPAD.encode_append(raw.as_slice(), &mut text);
    Secret::new(text)
}

fn crc(kind: TokenKind, id: &[u8; 16], secret: &[u8; TOKEN_SECRET_BYTES]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind.prefix().as_bytes());
    hasher.update(id);
    hasher.update(secret);
    hasher.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::random::SystemRandom;

    fn sample(kind: TokenKind) -> Secret {
        let id = std::array::from_fn(|i| i as u8);
        let secret = std::array::from_fn(|i| 0xff - i as u8);
        write(kind, &id, &secret)
    }

    #[track_caller]
    fn check_frozen(kind: TokenKind, expect: &str) {
        assert_eq!(sample(kind).expose(), expect);
        let parsed = parse(expect).expect("a token that was given out stays readable");
        assert_eq!(parsed.kind, kind);
        assert_eq!(parsed.id, std::array::from_fn(|i| i as u8));
        assert_eq!(parsed.secret_hash, secret_hash(&std::array::from_fn(|i| 0xff - i as u8)));
    }

    #[test]
    fn the_text_of_every_kind_is_frozen() {
        check_frozen(
            TokenKind::Session,
            "gps_AAECAwQFBgcICQoLDA0OD__-_fz7-vn49_b19PPy8fDv7u3s6-rp6Ofm5eTj4uHglDHtqw",
        );
        check_frozen(
            TokenKind::ApiKey,
            "gpk_AAECAwQFBgcICQoLDA0OD__-_fz7-vn49_b19PPy8fDv7u3s6-rp6Ofm5eTj4uHgQLOF-A",
        );
        check_frozen(
            TokenKind::OneTime,
            "gpo_AAECAwQFBgcICQoLDA0OD__-_fz7-vn49_b19PPy8fDv7u3s6-rp6Ofm5eTj4uHgPeTo_w",
        );
        check_frozen(
            TokenKind::Ticket,
            "gpt_AAECAwQFBgcICQoLDA0OD__-_fz7-vn49_b19PPy8fDv7u3s6-rp6Ofm5eTj4uHgvkSs_g",
        );
        check_frozen(
            TokenKind::Pending,
            "gpm_AAECAwQFBgcICQoLDA0OD__-_fz7-vn49_b19PPy8fDv7u3s6-rp6Ofm5eTj4uHg7vfdXA",
        );
    }

    #[test]
    fn a_prefix_cannot_be_exchanged() {
        let body = sample(TokenKind::Session).expose().split_at(4).1.to_owned();
        for kind in TokenKind::ALL {
            let text = format!("{}{body}", kind.prefix());
            assert_eq!(parse(&text).is_some(), kind == TokenKind::Session, "{kind:?}");
        }
        assert_eq!(parse(&format!("gpx_{body}")), None);
    }

    #[test]
    fn every_change_of_one_character_is_refused() {
        let text = sample(TokenKind::Session).expose().to_owned();
        for at in 0..text.len() {
            for with in *b"ABab01-_=+/. \n\0" {
                let mut bytes = text.clone().into_bytes();
                if bytes[at] == with {
                    continue;
                }
                bytes[at] = with;
                let changed = String::from_utf8(bytes).unwrap();
                assert_eq!(parse(&changed), None, "{changed:?}");
            }
        }
    }

    #[test]
    fn spare_bits_of_the_last_character_must_be_zero() {
        let text = sample(TokenKind::Session).expose().to_owned();
        let (head, last) = text.split_at(text.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let accepted: Vec<char> =
            alphabet.chars().filter(|end| parse(&format!("{head}{end}")).is_some()).collect();
        assert_eq!(accepted.iter().collect::<String>(), last);
    }

    #[test]
    fn two_tokens_of_one_id_differ() {
        let (one, one_hash) = mint(TokenKind::ApiKey, [1; 16], &SystemRandom).unwrap();
        let (two, two_hash) = mint(TokenKind::ApiKey, [1; 16], &SystemRandom).unwrap();
        assert_ne!(one.expose(), two.expose());
        assert_ne!(one_hash, two_hash);
        assert_eq!(parse(one.expose()).unwrap().secret_hash, one_hash);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(gp[skotm]_)?\\PC{0,80}") {
            prop_assert_eq!(parse(&text), None);
        }

        #[test]
        fn well_formed_junk_of_the_right_length_is_refused(body in "[A-Za-z0-9_-]{70}") {
            let text = format!("gps_{body}");
            prop_assert_eq!(parse(&text), None);
        }

        #[test]
        fn what_is_written_is_read(id: [u8; 16], secret: [u8; 32], kind in 0_usize..5) {
            let kind = TokenKind::ALL[kind];
            let text = write(kind, &id, &secret);
            let parsed = parse(text.expose()).unwrap();
            prop_assert_eq!(parsed.kind, kind);
            prop_assert_eq!(parsed.id, id);
            prop_assert_eq!(parsed.secret_hash, secret_hash(&secret));
        }
    }
}
