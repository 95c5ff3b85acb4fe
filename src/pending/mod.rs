//! State in memory that is still to be written to the file: denials, uses of sessions, and counts
//! of refusals; and what one process counts or remembers for itself.
//!
//! Nothing here contains SQL; higher modules provide the statements.

pub(crate) mod counts;
pub(crate) mod denials;
pub(crate) mod rekeying;
pub(crate) mod uses;
pub(crate) mod words;

use crate::error::Result;
use crate::value::random::{RandomSource, random_bytes};

/// The unwritten state of one process, the failed attempts that it counts for itself, and how far
/// its rotation of a key has come.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) denials: denials::Denials,
    pub(crate) uses: uses::Uses,
    pub(crate) counts: counts::Counts,
    pub(crate) words: words::Words,
    pub(crate) rekeying: rekeying::Rekeying,
}

impl Pending {
    pub(crate) fn new(random: &dyn RandomSource, write_use: uses::WriteUse) -> Result<Self> {
        Ok(Self {
            denials: denials::Denials::default(),
            uses: uses::Uses::new(write_use),
            counts: counts::Counts::default(),
            words: words::Words::new(random_bytes(random)?),
            rekeying: rekeying::Rekeying::default(),
        })
    }
}
