//! The answer of `Store::may`: whether a principal has a privilege.

use std::fmt;

use crate::error::ErrorClass;

/// Whether a principal has a privilege now: the answer of [`Store::may`](crate::Store::may). A
/// failure of the store is an `Err`, and none of the three.
///
/// ```
/// use gatepost::Permission;
///
/// assert!(Permission::Granted.granted().is_ok());
/// assert!(Permission::Denied.granted().is_err());
/// ```
#[expect(clippy::exhaustive_enums, reason = "complete: granted, denied, or no session to ask for")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a permission that is not read lets every request through"]
pub enum Permission {
    /// The session or API key is valid, and its user has the privilege; the scopes of a key have it
    /// too.
    Granted,
    /// The session or API key is valid, and its user does not have the privilege, or the scopes of
    /// the key do not.
    Denied,
    /// The session or API key is no longer valid: [`Store::verify`](crate::Store::verify) refuses
    /// its token.
    Ended,
}

impl Permission {
    /// `Ok` if the privilege is granted, else an error that the program can answer with: for `?`.
    ///
    /// # Errors
    /// [`NotPermitted`], which says whether the privilege is missing or the session is not valid.
    ///
    /// ```
    /// use gatepost::{NotPermitted, Permission};
    ///
    /// assert_eq!(Permission::Granted.granted(), Ok(()));
    /// assert_eq!(Permission::Denied.granted(), Err(NotPermitted::Denied));
    /// assert_eq!(Permission::Ended.granted(), Err(NotPermitted::Ended));
    /// ```
    pub const fn granted(self) -> Result<(), NotPermitted> {
        match self {
            Self::Granted => Ok(()),
            Self::Denied => Err(NotPermitted::Denied),
            Self::Ended => Err(NotPermitted::Ended),
        }
    }
}

/// Why a request is not permitted: the error of [`Permission::granted`].
///
/// ```
/// use gatepost::{NotPermitted, Permission};
///
/// let refused = Permission::Denied.granted().unwrap_err();
/// assert_eq!(refused, NotPermitted::Denied);
/// assert_eq!(refused.to_string(), "the user does not have the privilege");
/// ```
#[doc(alias("403", "unauthorized", "forbidden"))]
#[expect(clippy::exhaustive_enums, reason = "complete: a permission has no third way to fail")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotPermitted {
    /// The user does not have the privilege: HTTP 403.
    Denied,
    /// The session or API key is no longer valid: the user must log in, HTTP 401.
    Ended,
}

impl NotPermitted {
    /// The class of the refusal, by which a program chooses its answer, such as an HTTP status.
    ///
    /// ```
    /// use gatepost::{ErrorClass, NotPermitted};
    ///
    /// assert_eq!(NotPermitted::Denied.class(), ErrorClass::Forbidden);
    /// assert_eq!(NotPermitted::Ended.class(), ErrorClass::SignIn);
    /// ```
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Denied => ErrorClass::Forbidden,
            Self::Ended => ErrorClass::SignIn,
        }
    }
}

impl fmt::Display for NotPermitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "the user does not have the privilege",
            Self::Ended => "the session or API key is not valid any more",
        })
    }
}

impl std::error::Error for NotPermitted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_and_an_ended_session_read_differently() {
        let text = |permission: Permission| permission.granted().unwrap_err().to_string();
        assert_eq!(text(Permission::Denied), "the user does not have the privilege");
        assert_eq!(text(Permission::Ended), "the session or API key is not valid any more");
    }
}
