//! The secrets of the story and everything that it printed, kept for the search.

use std::any::type_name;
use std::fmt::{Debug, Display};

use data_encoding::BASE64URL_NOPAD;
use gatepost::{Error, Secret};

use super::needle::Needle;
use super::story::Story;

impl Story {
    pub(super) fn gave(&mut self, token: &Secret) {
        let text = token.expose();
        let raw = BASE64URL_NOPAD.decode(&text.as_bytes()[4..]).unwrap();
        let (handle, rest) = raw.split_at(16);
        assert_eq!(handle.len() + rest.len(), 52);
        self.secrets.push(Needle::text("the text of a token", text));
        // What follows the handle in the text; the handle itself is no secret.
        self.secrets.push(Needle::text("the secret part of a token's text", &text[4 + 22..]));
        self.secrets.push(Needle::bytes("the secret bytes of a token", &rest[..32]));
        self.raw_secrets.push(rest[..32].to_vec());
    }

    pub(super) fn held<T: Debug>(&mut self, value: &T) {
        let name = type_name::<T>();
        // The innermost name, also of a list or an option of it.
        let inner = name.split(['<', '>', '[', ']', ',', '&', ';', ' ']).map(str::trim);
        let names = inner.filter(|name| name.starts_with("gatepost::"));
        let text = format!("{value:?}\n{value:#?}");
        for name in names.map(|name| name.rsplit("::").next().unwrap_or(name)) {
            self.prints.push((name.to_owned(), text.clone()));
        }
    }

    pub(super) fn shown<T: Debug + Display>(&mut self, value: &T) {
        self.held(value);
        let name = type_name::<T>().rsplit("::").next().unwrap_or_default();
        self.prints.push((name.to_owned(), format!("{value}\n{value:#}")));
    }

    #[track_caller]
    pub(super) fn failed<T>(&mut self, result: Result<T, Error>) {
        let Err(error) = result else { panic!("this should have been refused") };
        self.shown(&error);
        self.held(&error.kind());
        self.prints.push(("advice".to_owned(), error.advice().to_owned()));
    }
}
