//! The JSON shapes of the services from which Gatepost's domain comes.
//!
//! [`LoginReply::into_wire`](crate::LoginReply::into_wire) makes a reply and moves the token into
//! it; no other type serialises a token. Objects are read with their names in any case. Unknown
//! names are ignored; a name that occurs twice is an error.

mod read;
mod reply;
mod request;

pub use reply::{Branch, Credits, LoginReply, Organisation, Setting, User};
pub use request::{ChangePassword, ChangePasswordRequest, LoginRequest, SessionRequest};
