//! The credential of a call, in the header `Authorization`.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use gatepost::{ErrorClass, HeaderCredentials, UserId};
use gatepost_axum::{Rejection, SignedIn};

use crate::Site;

/// A caller who is signed in by the header. A cookie counts for nothing here: a page of any origin
/// may call, and must not act as the person whose browser shows it.
pub(super) struct Caller(SignedIn);

impl Caller {
    pub(super) fn is(&self, user: UserId) -> bool {
        self.principal.user == user
    }
}

impl Deref for Caller {
    type Target = SignedIn;

    fn deref(&self) -> &SignedIn {
        &self.0
    }
}

impl FromRequestParts<Site> for Caller {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Rejection> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            let detail = "Send an access token or an API key in the header Authorization.";
            return Err(Rejection::new(ErrorClass::SignIn, "sign_in", detail));
        }
        <SignedIn as FromRequestParts<Site>>::from_request_parts(parts, site).await.map(Self)
    }
}

/// A caller, or the one-time token of a mail. The page behind the link of a reset mail gives the
/// token to the client as if it were a session's.
pub(super) enum Bearer {
    Caller(Box<Caller>),
    OneTimeToken(String),
}

/// The beginning of one-time tokens, as the manual's page on the file format has it.
const ONE_TIME: &str = "gpo_";

impl FromRequestParts<Site> for Bearer {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Rejection> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let credentials = header.and_then(|header| HeaderCredentials::from_header(header).ok());
        match credentials {
            Some(mail) if mail.token.expose().starts_with(ONE_TIME) => {
                Ok(Self::OneTimeToken(mail.token.expose().to_owned()))
            }
            _ => Caller::from_request_parts(parts, site).await.map(Box::new).map(Self::Caller),
        }
    }
}
