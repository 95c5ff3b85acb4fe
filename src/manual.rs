//! The manual: what the documentation of single items does not say.
//!
//! In reading order: what is [`defaults`] and why, what each of the [`calls`] costs, the
//! [`hot_path`] of a verify, what revokes what ([`revocation`]), what [`operating`] a store takes,
//! from which states it [`always_starts`], which [`threats`] it meets and which it does not, which
//! [`requirements`] it meets and the test that proves each, and the [`file_format`], with the whole
//! schema.

pub mod defaults {
    #![doc = include_str!("../manual/defaults.md")]
}

pub mod calls {
    #![doc = include_str!("../manual/calls.md")]
}

pub mod hot_path {
    #![doc = include_str!("../manual/hot_path.md")]
}

pub mod revocation {
    #![doc = include_str!("../manual/revocation.md")]
}

pub mod operating {
    #![doc = include_str!("../manual/operating.md")]
}

pub mod always_starts {
    #![doc = include_str!("../manual/always_starts.md")]
}

pub mod threats {
    #![doc = include_str!("../manual/threats.md")]
}

pub mod requirements {
    #![doc = include_str!("../manual/requirements.md")]
}

pub mod file_format {
    #![doc = include_str!("../manual/file_format.md")]
    #![doc = "```sql"]
    #![doc = include_str!("storage/schema.sql")]
    #![doc = "```"]
}
