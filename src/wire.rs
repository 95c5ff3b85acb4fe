//! The JSON shapes in which clients of services read replies and write requests, one module for
//! each family of services. Needs the feature `serde`.
//!
//! The records of the library, such as [`User`](crate::User), serialise by themselves, with names
//! in snake_case.

pub mod trustid;
