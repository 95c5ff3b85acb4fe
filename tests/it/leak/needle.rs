//! The secrets that are searched for, and the forms in which they could hide.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// A secret.
pub(super) struct Needle {
    pub(super) what: String,
    /// Not a secret where it is printed, only in the file.
    pub(super) may_be_printed: bool,
    forms: Vec<String>,
}

impl Needle {
    pub(super) fn text(what: &str, text: &str) -> Self {
        Self::bytes(what, text.as_bytes())
    }

    pub(super) fn bytes(what: &str, bytes: &[u8]) -> Self {
        let mut forms = vec![
            bytes.to_vec(),
            HEXLOWER.encode(bytes).into_bytes(),
            HEXUPPER.encode(bytes).into_bytes(),
        ];
        // The bytes before it move the borders of base64: three ways to write the same bytes.
        for before in 0..3 {
            let moved = [vec![0; before], bytes.to_vec()].concat();
            for text in [BASE64_NOPAD.encode(&moved), BASE64URL_NOPAD.encode(&moved)] {
                let begin = [0, 2, 3][before];
                let end = text.len() - usize::from(moved.len() % 3 != 0);
                forms.push(text.as_bytes()[begin..end].to_vec());
            }
        }
        forms.sort();
        forms.dedup();
        let forms = forms.iter().map(|form| latin(form)).collect();
        Self { what: what.to_owned(), may_be_printed: false, forms }
    }

    pub(super) fn printable(self) -> Self {
        Self { may_be_printed: true, ..self }
    }
}

/// Bytes, to be searched many times.
pub(super) struct Haystack(String);

impl Haystack {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(latin(bytes))
    }

    pub(super) fn has(&self, needle: &Needle) -> bool {
        needle.forms.iter().any(|form| self.0.contains(form))
    }
}

/// Each byte as the character of its number: searching text is fast in a debug build as well.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
