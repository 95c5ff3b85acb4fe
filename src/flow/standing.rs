//! Where everyone stands: who and what is active, and who is under whom.

mod places;
mod users;
