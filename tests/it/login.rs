//! Log in: the whole request, the whole reply, every refusal.

mod change;
mod cost;
mod meanwhile;
mod names;
mod places;
mod refusals;
mod reply;
mod slow_check;
