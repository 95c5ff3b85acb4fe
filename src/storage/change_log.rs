//! The change log: what a reader has followed, and what it has yet to read.

mod bookmark;
mod read;

pub(crate) use bookmark::{Bookmark, Change, Changes, trimmable};
