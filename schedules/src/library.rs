//! The modules of the library, which find each other and the model under their own names.

#[path = "../../src"]
mod own {
    pub(crate) mod cache;
    pub(crate) mod error;
    pub(crate) mod value;
}

pub(crate) use own::{cache, error, value};

/// The library's own decision about the change rows that it finds.
#[path = "../../src/storage/change_log/bookmark.rs"]
pub(crate) mod bookmark;
