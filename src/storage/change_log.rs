//! Reading the change log: the position up to which a reader has followed, and the rows after it.

mod bookmark;
mod read;

pub(crate) use bookmark::{Bookmark, Change, Changes, trimmable};
