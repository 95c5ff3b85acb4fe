//! The host's own check for passwords that are known from a breach.

use std::fmt::Debug;
use std::sync::Arc;

/// A host's own list of breached passwords; given to
/// [`Options::breach_check`](crate::Options::breach_check).
///
/// The store calls it once for each new password that passed every other rule, before a write
/// begins. A check that cannot answer, such as one whose list is out of reach, returns what the
/// host prefers: `false` accepts the password, `true` refuses it. It must not keep or log the
/// password.
///
/// ```
/// use std::sync::Arc;
///
/// use gatepost::policy::{BreachCheck, PasswordRule};
/// use gatepost::{NewUser, Options, Password, Store};
///
/// #[derive(Debug)]
/// struct Breached(Vec<String>);
///
/// impl BreachCheck for Breached {
///     fn is_breached(&self, password: &str) -> bool {
///         self.0.iter().any(|known| known == password)
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let check = Arc::new(Breached(vec!["lantern over wet slate".into()]));
/// let store = Store::open(path, Options::server().breach_check(check))?;
/// let ada = NewUser::person("ada").password(Password::from("lantern over wet slate"));
/// let error = store.users().create(ada).unwrap_err();
/// assert_eq!(error.password_rule(), Some(PasswordRule::Breached));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("pwned", "hibp"))]
pub trait BreachCheck: Debug + Send + Sync {
    /// Whether `password` is known to have been breached. It may take long: it holds up no call but
    /// the one that asks.
    fn is_breached(&self, password: &str) -> bool;
}

/// Whether this process checks new passwords.
#[derive(Debug, Clone)]
pub(crate) enum Breaches {
    Unchecked,
    Checked(Arc<dyn BreachCheck>),
    /// The file says that a check is in use, and this process has none.
    Missing,
}

impl Breaches {
    /// Whether the file should say that a check is in use.
    pub(crate) fn are_checked(&self) -> bool {
        !matches!(self, Self::Unchecked)
    }
}

/// A check is equal only to itself.
impl PartialEq for Breaches {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Checked(one), Self::Checked(two)) => Arc::ptr_eq(one, two),
            (Self::Unchecked, Self::Unchecked) | (Self::Missing, Self::Missing) => true,
            _ => false,
        }
    }
}
