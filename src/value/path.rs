//! Paths in JSON.

use std::path::PathBuf;

use serde::Serializer;

/// The path as text can have it: what is not UTF-8 in it is replaced. `None` is null.
pub(crate) fn as_text<'p, S: Serializer>(
    path: impl Into<Option<&'p PathBuf>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path.into() {
        Some(path) => serializer.collect_str(&path.display()),
        None => serializer.serialize_none(),
    }
}
