//! Gatepost: an embedded, synchronous session store in one SQLite file.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;

pub use error::{Error, Reason};
