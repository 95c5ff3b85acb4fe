//! The text of a resource ticket.
//!
//! It has the form of a token (`token.rs`), with the id of the session in the place of the row's
//! id. In the place of the secret it has what the store must know to check it, and a code (an HMAC)
//! over that, the method and the resource:
//!
//! ```text
//! secret = expires_at (8)  issued_seq (8)  code (16)
//! ```
//!
//! Numbers are big-endian. No row of the file belongs to a ticket.

use zeroize::Zeroizing;

use super::digest::{TicketCode, ticket_code};
use super::id::SessionId;
use super::secret::Secret;
use super::time::Timestamp;
use super::token::{TokenKind, read, write};

/// A ticket that was read, its code not yet compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) session: SessionId,
    /// The first moment at which it is expired.
    pub(crate) expires_at: Timestamp,
    /// The number of the newest change row when it was minted.
    pub(crate) issued_seq: i64,
    code: TicketCode,
}

impl Ticket {
    /// A ticket for one method and one resource.
    pub(crate) fn new(
        key: &[u8; 32],
        (session, expires_at, issued_seq): (SessionId, Timestamp, i64),
        (method, resource): (&str, &str),
    ) -> Self {
        let code = ticket_code(
            key,
            [
                session.as_bytes(),
                &expires_at.as_millis().to_be_bytes(),
                &issued_seq.to_be_bytes(),
                method.as_bytes(),
                resource.as_bytes(),
            ],
        );
        Self { session, expires_at, issued_seq, code }
    }

    /// Reads a ticket; `None` for every text that [`Ticket::text`] cannot have made.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (TokenKind::Ticket, session, body) = read(text)? else { return None };
        let (end, rest) = body.split_first_chunk::<8>()?;
        let (seq, code) = rest.split_first_chunk::<8>()?;
        Some(Self {
            session: SessionId::from_bytes(session),
            expires_at: Timestamp::from_millis(i64::from_be_bytes(*end)),
            issued_seq: i64::from_be_bytes(*seq),
            code: TicketCode::from_bytes(*code.first_chunk()?),
        })
    }

    /// Whether it was minted under this key for this method and resource. In constant time.
    pub(crate) fn is_for(&self, key: &[u8; 32], method: &str, resource: &str) -> bool {
        let terms = (self.session, self.expires_at, self.issued_seq);
        Self::new(key, terms, (method, resource)).code.ct_eq(&self.code)
    }

    pub(crate) fn text(&self) -> Secret {
        let mut body = Zeroizing::new([0; 32]);
        let parts = self.expires_at.as_millis().to_be_bytes().into_iter();
        let parts = parts.chain(self.issued_seq.to_be_bytes()).chain(*self.code.as_bytes());
        for (to, from) in body.iter_mut().zip(parts) {
            *to = from;
        }
        write(TokenKind::Ticket, self.session.as_bytes(), &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: (SessionId, Timestamp, i64) =
        (SessionId::from_bytes([3; 16]), Timestamp::from_millis(1_767_603_630_000), 41);

    fn ticket() -> Ticket {
        Ticket::new(&[1; 32], TERMS, ("GET", "/images/7"))
    }

    #[test]
    fn the_text_is_frozen_and_read_again() {
        let text = ticket().text();
        // Computed by another program, from the page `file_format` of the manual.
        let frozen = "gpt_AwMDAwMDAwMDAwMDAwMDAwAAAZuNYu-wAAAAAAAAACmz2Lsv3da2OshK1N5OGb8Osi9TLg";
        assert_eq!(text.expose(), frozen);
        assert_eq!(Ticket::parse(text.expose()), Some(ticket()));
    }

    #[test]
    fn it_is_for_its_own_method_and_resource_under_its_own_key_alone() {
        let read = Ticket::parse(ticket().text().expose()).unwrap();
        assert!(read.is_for(&[1; 32], "GET", "/images/7"));
        assert!(!read.is_for(&[2; 32], "GET", "/images/7"));
        for (method, resource) in [
            ("HEAD", "/images/7"),
            ("GET", "/images/8"),
            ("GET/", "images/7"),
            ("get", "/images/7"),
        ] {
            assert!(!read.is_for(&[1; 32], method, resource), "{method} {resource}");
        }
    }

    #[test]
    fn no_part_of_it_can_be_changed() {
        let longer = Ticket { expires_at: Timestamp::from_millis(i64::MAX), ..ticket() };
        let younger = Ticket { issued_seq: 42, ..ticket() };
        let another = Ticket { session: SessionId::from_bytes([4; 16]), ..ticket() };
        for changed in [longer, younger, another] {
            let read = Ticket::parse(changed.text().expose()).unwrap();
            assert!(!read.is_for(&[1; 32], "GET", "/images/7"), "{changed:?}");
        }
    }

    #[test]
    fn a_token_of_another_kind_is_no_ticket() {
        let body = [7; 32];
        for kind in TokenKind::ALL {
            let text = write(kind, &[3; 16], &body);
            assert_eq!(Ticket::parse(text.expose()).is_some(), kind == TokenKind::Ticket);
        }
    }
}
