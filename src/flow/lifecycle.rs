//! Lifecycle: the status of users and places, deletion, restoring, and moves.

mod places;
mod users;
