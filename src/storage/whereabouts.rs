//! Where a path of the host program leads, and which paths may lead to one file.

use std::path::Path;

use super::files::{Files, Identity, found};
use crate::error::Result;
use crate::value::name::searched;

/// Where a path of the host program leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) files: Files,
    /// The main file; `None` if there is none.
    pub(crate) identity: Option<Identity>,
    directory: Option<Identity>,
}

impl Whereabouts {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let files = Files::resolve(path)?;
        let identity = found(&files.main)?;
        let directory = found(files.directory())?;
        Ok(Self { files, identity, directory })
    }

    /// Whether one may be the file of the other, or the copy that a restore of the other writes.
    /// A file is also one that is put in its place meanwhile, by any path to its directory.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        let is_same_file = self.identity.is_some() && self.identity == other.identity;
        let copies =
            |one: &Self, two: &Self| may_be_one_name(&one.files.restoring(), &two.files.main);
        is_same_file
            || self.directory == other.directory
                && (may_be_one_name(&self.files.main, &other.files.main)
                    || copies(self, other)
                    || copies(other, self))
    }
}

/// Whether some file system takes the names of both paths for one: one that ignores letter case,
/// the way in which letters are composed, or characters that are not drawn.
fn may_be_one_name(one: &Path, two: &Path) -> bool {
    let form = |path: &Path| path.file_name().map(|name| searched(&name.to_string_lossy()));
    form(one) == form(two)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn two_paths_may_be_one_file_by_its_identity_or_by_name_and_directory() {
        let [here, there] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let (old, link) = (here.path().join("old.db"), there.path().join("link.db"));
        fs::write(&old, "").unwrap();
        fs::hard_link(&old, &link).unwrap();
        fs::write(here.path().join("other.db"), "").unwrap();
        let may_be = |one: &Path, two: &Path| {
            let [one, two] = [one, two].map(|path| Whereabouts::of(path).unwrap());
            assert_eq!(one.may_be(&two), two.may_be(&one));
            one.may_be(&two)
        };
        assert!(may_be(&old, &old) && may_be(&old, &link));
        for name in ["old.db", "OLD.DB", "o\u{ad}ld.db", "old.db-restoring"] {
            assert!(may_be(&old, &here.path().join(name)), "{name}");
            assert!(!may_be(&old, &there.path().join(name)), "{name}");
        }
        for name in ["other.db", "new.db", "old.db.bak", "k\u{f6}ln.db"] {
            assert!(!may_be(&old, &here.path().join(name)), "{name}");
        }
        let composed = |name: &str| here.path().join(name);
        assert!(may_be(&composed("k\u{f6}ln.db"), &composed("KO\u{308}LN.db")));
        // The file was replaced in between.
        let before = Whereabouts::of(&old).unwrap();
        fs::rename(here.path().join("other.db"), &old).unwrap();
        assert!(before.may_be(&Whereabouts::of(&old).unwrap()));
    }
}
