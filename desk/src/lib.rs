//! [Gatepost](gatepost) for desktop programs: the private folder, this machine's device id, the
//! saved token, and an idle lock.
//!
//! The library knows no folders and no vaults. This crate is what a desktop program needs between
//! the two; the program itself never sees a device id or a token:
//!
//! - **[`Desk`]** finds the private folder by the rules of the platform, opens the store in it,
//!   and keeps this machine's device id there. It resumes the saved session, signs users in, and
//!   creates the first administrator.
//! - **[`SignIn`]** is the outcome: a seat, a forced change of the password, or a refusal with its
//!   sentence; [`FactorStep`] goes on with a second factor.
//! - **[`Seat`]** is the signed-in user: profile, configuration, privileges, an idle lock that
//!   keeps the session, the user's sessions, password and second factor, and sign-out. Every call
//!   answers [`DeskError::Ended`] once the session is over, also if another process ended it.
//! - **[`TokenVault`]** saves the token between two starts.
//!
//! The page [`desktop`](gatepost::manual::desktop) of the library's manual has a first program, and
//! explains where things are kept, shared machines, and several instances.

mod desk;
mod error;
mod factor_step;
mod folder;
mod outcome;
mod place;
mod seat;
mod sign_in;
mod vault;

pub use desk::{Desk, DeskBuilder};
pub use error::DeskError;
pub use factor_step::FactorStep;
pub use folder::Folder;
pub use outcome::{Outcome, SeatRefusal};
pub use place::Platform;
pub use seat::{Saved, Seat, SeatState};
pub use sign_in::{NewPasswordStep, Refused, SignIn, SignInRequest};
#[cfg(unix)]
pub use vault::FileVault;
#[cfg(all(unix, not(target_vendor = "apple"), feature = "secret-service"))]
pub use vault::SecretServiceVault;
pub use vault::{MemoryVault, Moved, SavedToken, TokenVault, VaultError, VaultKind};

/// The examples of README and of the manual's page, which the library cannot run.
#[cfg(doctest)]
mod manual {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../../manual/desktop.md")]
    mod desktop {}
}
