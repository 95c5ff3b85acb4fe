//! The shapes in which clients read replies and write requests (feature `serde`).
//!
//! The names are those of the services that Gatepost's domain comes from. Replies are made by
//! value: [`LoginReply::into_wire`](crate::LoginReply::into_wire) takes the token along, and what
//! it makes is the one thing that can serialise it. Every object is read with its names in any
//! case; unknown names are passed over, a name given twice is refused.

mod read;
mod reply;
mod request;

pub use reply::{
    WireBranch, WireCredits, WireLoginReply, WireOrganisation, WireSetting, WireUser,
};
pub use request::{ChangePassword, WireChangePassword, WireLogIn, WireSession};
