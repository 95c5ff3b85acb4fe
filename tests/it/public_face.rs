//! The public face in one file, so that every change of it is seen in review.
//!
//! The sources are parsed, the items that `lib.rs` exports are looked up module by module, and what
//! a host sees of each is written down: fields, variants, functions without their bodies, and the
//! traits it has. Documentation is left out. What a macro makes is shown as the macro and its call.

mod modules;
mod reach;
mod show;

use std::path::Path;

use modules::Crate;

const KEPT: &str = "tests/it/golden/public_face.txt";

#[test]
fn every_change_of_the_public_face_is_seen_in_review() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let face = show::face(&Crate::read(&root.join("src")));
    let kept = std::fs::read_to_string(root.join(KEPT)).unwrap_or_default();
    if face == kept {
        return;
    }
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("public_face.txt");
    std::fs::write(&new, &face).unwrap();
    let (face, kept): (Vec<_>, Vec<_>) = (face.lines().collect(), kept.lines().collect());
    let first = face.iter().zip(&kept).position(|(new, old)| new != old);
    let at = first.unwrap_or(face.len().min(kept.len()));
    panic!(
        "line {} of {KEPT} has changed:\n- {}\n+ {}\nif that is meant: cp {} {KEPT}",
        at + 1,
        kept.get(at).unwrap_or(&""),
        face.get(at).unwrap_or(&""),
        new.display()
    );
}

#[test]
fn what_is_public_is_shown_and_nothing_else() {
    let sources = [
        ("", "pub use store::{Store, Kind}; pub mod wire { pub use crate::store::other::Reply; }"),
        (
            "store",
            "mod other;
             /// Documented.
             #[derive(Debug, Clone)] #[must_use] pub struct Store { pub name: String, core: u8 }
             impl Store {
                 #[inline] pub fn open(&self) -> u8 { self.core }
                 pub(crate) fn hidden(&self) {}
             }
             impl Drop for Store { fn drop(&mut self) {} }
             pub struct NotExported;
             words! { Kind { One = \"one\" } }
             macro_rules! words { ($n:ident { $($v:ident = $t:literal)* }) => { pub enum $n {} } }",
        ),
        ("store::other", "pub struct Reply(u8); impl Reply { pub const NONE: u8 = 1; }"),
    ];
    let face = show::face(&Crate::of(&sources));
    for shown in [
        "#[derive(Debug, Clone)]\n#[must_use]\npub struct Store {",
        "    pub name: String,\n    private: _,\n}",
        "    pub fn open(&self) -> u8 {}",
        "impl Drop for Store {}",
        "words! {",
        "macro_rules! words",
        "wire::Reply",
        "pub const NONE: u8",
    ] {
        assert!(face.contains(shown), "{shown} is not in:\n{face}");
    }
    for hidden in ["hidden", "NotExported", "Documented", "inline", "self.core"] {
        assert!(!face.contains(hidden), "{hidden} is in:\n{face}");
    }
}

/// A reply that carries a stored hash, key or seed would hand it to all who see the reply.
#[test]
fn no_type_that_a_host_can_have_carries_a_stored_secret() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let schema = std::fs::read_to_string(root.join("storage/schema.sql")).unwrap();
    let secrets = reach::columns_of_secrets(&schema);
    for known in ["secret_hash", "phc", "stand_in_key"] {
        assert!(secrets.contains(known), "{known}: {secrets:?}");
    }
    let own = Crate::read(&root);
    let carried = reach::fields_named(&own, &secrets);
    assert!(carried.is_empty(), "{carried:?}");
}
