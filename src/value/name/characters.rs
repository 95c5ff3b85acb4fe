//! The characters that a name may not have, by their Unicode properties.
//!
//! The stored form of a name must never change, so names are made of the characters of one version
//! of Unicode, whatever versions the tables of the crates have. General categories and case
//! foldings are those of Unicode 16. The normalisation of a character never changes once it is
//! assigned (Unicode's stability policy), so newer tables for that are sound.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Whether a name must not have this character, because it is invisible or its meaning is open:
/// controls, format characters (zero width, bidi, tags), separators, fillers, variation selectors,
/// private use, and code points that Unicode 16 has not assigned.
pub(crate) fn is_hidden(c: char) -> bool {
    use GeneralCategory as Is;
    match get_general_category(c) {
        Is::Control | Is::Format | Is::LineSeparator | Is::ParagraphSeparator => true,
        Is::PrivateUse | Is::Surrogate | Is::Unassigned => true,
        _ => is_default_ignorable(c) || is_blank(c),
    }
}

/// Default_Ignorable_Code_Point, except format characters and unassigned code points: the combining
/// grapheme joiner, fillers and variation selectors.
pub(super) fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180d}'
        | '\u{180f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}')
}

/// Characters that are drawn as nothing although no property says so: the empty Braille cell, a
/// filler of Khitan, blank hieroglyphs, a note without a head; and the replacement characters,
/// which replace what was lost.
fn is_blank(c: char) -> bool {
    matches!(c,
        '\u{2800}' | '\u{16fe4}' | '\u{13441}'..='\u{13442}' | '\u{1d159}'
        | '\u{fffc}'..='\u{fffd}')
}

/// Bidi_Control: these characters reorder the text beside them, so that one entry of a list can
/// change how its neighbour is read.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex_syntax::hir::{Class, HirKind};

    use super::super::{Username, folded};
    use super::*;

    /// All characters of a property, by the tables of another crate.
    fn property(name: &str) -> BTreeSet<char> {
        let hir = regex_syntax::parse(&format!(r"\p{{{name}}}")).unwrap();
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{name}") };
        class.iter().flat_map(|range| range.start()..=range.end()).collect()
    }

    fn all() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    /// If a table moves, the stored names of some users may no longer be what they are folded to.
    #[test]
    fn names_have_the_characters_of_one_version_of_unicode() {
        let category = unicode_general_category::UNICODE_VERSION;
        assert_eq!(caseless::UNICODE_VERSION, category);
        assert_eq!(category, (16, 0, 0), "the characters of names are part of the file format");
        let (major, ..) = unicode_normalization::UNICODE_VERSION;
        assert!(u64::from(major) >= category.0);
        let allowed = |c: &char| !is_hidden(*c);
        assert!(all().filter(allowed).all(unicode_normalization::char::is_public_assigned));
        // Letters of Unicode 17, of which `caseless` knows no case.
        for c in ['\u{a7ce}', '\u{a7cf}', '\u{a7d2}', '\u{a7d4}', '\u{16ea0}', '\u{16ebb}'] {
            assert!(is_hidden(c), "{c:?}");
        }
        // A pair of Unicode 16.
        assert!(!is_hidden('\u{1c89}'));
        assert_eq!(folded("\u{1c89}"), folded("\u{1c8a}"));
    }

    #[test]
    fn the_properties_are_those_of_unicode() {
        let ignorable = property("Default_Ignorable_Code_Point");
        for c in all() {
            let category = get_general_category(c);
            let is_format = category == GeneralCategory::Format;
            let is_ignorable = is_default_ignorable(c) || is_format && ignorable.contains(&c);
            if category != GeneralCategory::Unassigned {
                assert_eq!(is_ignorable, ignorable.contains(&c), "{c:?}");
            }
        }
        assert!(property("Cf").into_iter().all(is_hidden));
        let bidi: BTreeSet<char> = all().filter(|c| is_bidi_control(*c)).collect();
        assert_eq!(bidi, property("Bidi_Control"));
        for c in ['\u{13430}', '\u{1343c}', '\u{70f}', '\u{110bd}', '\u{16fe4}', '\u{1d159}'] {
            assert!(Username::parse(&format!("adm{c}in")).is_err(), "{c:?}");
        }
    }

    /// Except the dotless i, which the default folding takes for a letter of its own.
    #[test]
    fn no_two_names_differ_in_case_alone() {
        for c in all().filter(|c| !is_hidden(*c) && *c != '\u{131}') {
            let others = [c.to_uppercase().to_string(), c.to_lowercase().to_string()];
            for other in others.into_iter().filter(|other| *other != c.to_string()) {
                let (one, other) = (format!("a{c}"), format!("a{other}"));
                let (Ok(one), Ok(other)) = (Username::parse(&one), Username::parse(&other)) else {
                    continue;
                };
                assert_eq!(one.key, other.key, "{c:?}");
            }
        }
    }
}
