//! The manual: what the documentation of single items does not say.
//!
//! **Start**
//!
//! - [`getting_started`]: from an empty project to a program that logs users in.
//! - [`desktop`]: a desktop program, with the crate `gatepost-desk`.
//! - [`web`]: a web server on axum, with the crate `gatepost-axum`.
//! - [`other_servers`]: from tower-sessions, axum-login, better-auth, PocketBase or Django.
//! - [`services`]: programs of TrueVault and TrustID, unchanged, at a server of yours.
//! - [`devices`]: which device id each kind of client uses.
//!
//! **Build**
//!
//! - [`options`]: which preset to choose, every option with its default, and the reasons; which
//!   names and which JSON are accepted.
//! - [`revocation`]: what revokes which sessions, API keys and one-time tokens.
//! - [`api_keys`]: keys for programs: scopes, keys made from keys and sessions, rotation.
//! - [`administration`]: administrators of one organisation or branch, and what they may do.
//! - [`one_time_tokens`]: password reset, e-mail confirmation, invitation, temporary password, and
//!   the first administrator.
//! - [`second_factors`]: authenticators with time-based codes, and recovery codes.
//! - [`tickets`]: images and downloads by a URL that is valid for some seconds.
//! - [`impersonation`]: an administrator acts as a user.
//! - [`explain`]: why a token or a login is refused, and which row of the audit log is behind it.
//! - [`staying_signed_in`]: lifetimes, renewal, "remember me", cookies.
//! - [`testing`]: how to test a program that uses Gatepost.
//! - [`processes`]: several threads and processes on one file.
//! - [`errors`]: every error and every refusal, with its cause and cure.
//! - [`calls`]: what each call reads, writes and hashes, and how long it may wait.
//!
//! **Operate**
//!
//! - [`keys`]: a key outside the file that seals password hashes and secrets of second factors.
//! - [`command`]: the command `gatepost`, one command for each task, and its exit codes.
//! - [`moving`]: users from another system, with their passwords, and out of Gatepost.
//! - [`backup`]: backups, restores, replication with Litestream, read-only stores.
//! - [`audit`]: reading the audit log, proving it whole, and erasing a person.
//! - [`operating`]: opening, permissions, upkeep, a full disk.
//! - [`watching`]: an observer of events, tracing, the state, and metrics.
//!
//! **Understand**
//!
//! - [`hot_path`]: how a verify is answered from memory and is as fresh as the file.
//! - [`threats`]: what is defended and what is not.
//! - [`file_format`]: the file, table by table, with the whole schema.
//! - [`glossary`]: each term in one or two sentences.
//!
//! **Appendix**
//!
//! - [`requirements`]: each requirement, with the test that proves it.
//! - [`opening_states`]: each state a file may be in when it is opened, and what happens.

// In the order of the index.

pub mod getting_started {
    #![doc = include_str!("../manual/getting_started.md")]
    #![doc = ""]
    #![doc = include_str!("../manual/pictures/hierarchy.svg")]
}

// The examples of these three need `gatepost-desk` and `gatepost-axum`, whose tests run them.
#[cfg(not(doctest))]
pub mod desktop {
    #![doc = include_str!("../manual/desktop.md")]
}

#[cfg(not(doctest))]
pub mod web {
    #![doc = include_str!("../manual/web.md")]
}

#[cfg(not(doctest))]
pub mod other_servers {
    #![doc = include_str!("../manual/other_servers.md")]
}

pub mod services {
    #![doc = include_str!("../manual/services.md")]
}

pub mod devices {
    #![doc = include_str!("../manual/devices.md")]
}

pub mod options {
    #![doc = include_str!("../manual/options.md")]
}

pub mod revocation {
    #![doc = include_str!("../manual/revocation.md")]
    #![doc = ""]
    #![doc = include_str!("../manual/pictures/session.svg")]
}

pub mod api_keys {
    #![doc = include_str!("../manual/api_keys.md")]
}

pub mod administration {
    #![doc = include_str!("../manual/administration.md")]
}

pub mod one_time_tokens {
    #![doc = include_str!("../manual/one_time_tokens.md")]
}

pub mod second_factors {
    #![doc = include_str!("../manual/second_factors.md")]
}

pub mod tickets {
    #![doc = include_str!("../manual/tickets.md")]
}

pub mod impersonation {
    #![doc = include_str!("../manual/impersonation.md")]
}

pub mod explain {
    #![doc = include_str!("../manual/explain.md")]
}

pub mod staying_signed_in {
    #![doc = include_str!("../manual/staying_signed_in.md")]
}

pub mod testing {
    #![doc = include_str!("../manual/testing.md")]
}

pub mod processes {
    #![doc = include_str!("../manual/processes.md")]
}

pub mod errors {
    #![doc = include_str!("../manual/errors.md")]
    #![doc = ""]
    #![doc = include_str!("../manual/pictures/login.svg")]
}

pub mod calls {
    #![doc = include_str!("../manual/calls.md")]
    #![doc = ""]
    #![doc = include_str!("../benches/figures/growth.svg")]
}

pub mod keys {
    #![doc = include_str!("../manual/keys.md")]
}

pub mod command {
    #![doc = include_str!("../manual/command.md")]
}

pub mod moving {
    #![doc = include_str!("../manual/moving.md")]
}

pub mod backup {
    #![doc = include_str!("../manual/backup.md")]
}

pub mod audit {
    #![doc = include_str!("../manual/audit.md")]
}

pub mod operating {
    #![doc = include_str!("../manual/operating.md")]
}

pub mod watching {
    #![doc = include_str!("../manual/watching.md")]
}

pub mod hot_path {
    #![doc = include_str!("../manual/hot_path.md")]
    #![doc = ""]
    #![doc = include_str!("../manual/pictures/processes.svg")]
}

pub mod threats {
    #![doc = include_str!("../manual/threats.md")]
}

pub mod file_format {
    #![doc = include_str!("../manual/file_format.md")]
    #![doc = ""]
    #![doc = include_str!("../manual/pictures/tables.svg")]
    #![doc = ""]
    #![doc = "```sql"]
    #![doc = include_str!("storage/schema.sql")]
    #![doc = "```"]
}

pub mod glossary {
    #![doc = include_str!("../manual/glossary.md")]
}

pub mod requirements {
    #![doc = include_str!("../manual/requirements.md")]
}

pub mod opening_states {
    #![doc = include_str!("../manual/opening_states.md")]
}
