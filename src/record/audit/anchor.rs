//! The anchor of the audit log: the ends of its chains, kept outside the file.

use std::fmt;
use std::str::FromStr;

use super::AuditSource;
use crate::error::{Error, Result};
use crate::value::digest::Digest;

/// The ends of the chains, to be kept outside the file: a log that was cut off or rewritten later
/// no longer fits them.
///
/// ```
/// use gatepost::audit::AuditAnchor;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let kept: String = store.audit().anchor()?.to_string();
/// let anchor: AuditAnchor = kept.parse()?;
/// assert!(store.audit().verify_chain(Some(&anchor))?.is_intact());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditAnchor {
    /// In the order of [`AuditSource::ALL`]: the number of the newest row and its hash.
    pub(super) heads: [(i64, Digest); 3],
}

impl AuditAnchor {
    pub(super) fn head(&self, source: AuditSource) -> Option<&(i64, Digest)> {
        AuditSource::ALL
            .iter()
            .zip(&self.heads)
            .find(|(of, _)| **of == source)
            .map(|(_, head)| head)
    }
}

impl fmt::Display for AuditAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (seq, chain)) in self.heads.iter().enumerate() {
            let colon = if number == 0 { "" } else { ":" };
            write!(f, "{colon}{seq}:{}", data_encoding::HEXLOWER.encode(chain.as_bytes()))?;
        }
        Ok(())
    }
}

impl FromStr for AuditAnchor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Written again, it must be the same text: an anchor has one spelling.
        let anchor = parse(text).filter(|anchor| anchor.to_string() == text);
        anchor.ok_or_else(|| Error::invalid("the text is not an anchor that audit().anchor made"))
    }
}

fn parse(text: &str) -> Option<AuditAnchor> {
    let mut parts = text.split(':');
    let mut head = || {
        let seq = parts.next()?.parse().ok().filter(|seq| *seq >= 0)?;
        let bytes = data_encoding::HEXLOWER.decode(parts.next()?.as_bytes()).ok()?;
        Some((seq, Digest::from_bytes(bytes.try_into().ok()?)))
    };
    let heads = [head()?, head()?, head()?];
    parts.next().is_none().then_some(AuditAnchor { heads })
}
