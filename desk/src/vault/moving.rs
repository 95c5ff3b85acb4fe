//! Moving a token from one vault to another.

use super::{SavedToken, TokenVault, VaultError, VaultKind};

/// What [`TokenVault::move_to`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Moved {
    /// There was no token to move.
    Nothing,
    /// The token is in the other vault, and no longer in this one.
    Done,
    /// The other vault has another token: both are as they were. Only the store knows which one
    /// is valid, so resume with one of them, and delete the one that the store refuses.
    BothKept,
}

/// Saves in `to`, reads back, deletes in `from`, in this order.
pub(super) fn move_token<V: TokenVault + ?Sized>(
    from: &V,
    to: &dyn TokenVault,
    name: &str,
) -> Result<Moved, VaultError> {
    // Two vaults of one kind may be one place, where the deletion would take the only copy.
    if from.kind() == to.kind() && from.kind() != VaultKind::Other {
        return Err(VaultError::SameKind);
    }
    let Some(token) = load(from, name)? else { return Ok(Moved::Nothing) };
    match load(to, name)? {
        Some(other) if other.expose() != token.expose() => return Ok(Moved::BothKept),
        // A move that was interrupted before its last step.
        Some(_) => {}
        None => {
            to.save(name, &token)?;
            let saved = load(to, name)?;
            if saved.is_none_or(|saved| saved.expose() != token.expose()) {
                return Err(VaultError::NoAnswer);
            }
        }
    }
    from.delete(name)?;
    Ok(Moved::Done)
}

/// An empty text is no token: a damaged file, or an item whose service was killed while it made it.
/// It stays where it is, or is replaced.
fn load<V: TokenVault + ?Sized>(vault: &V, name: &str) -> Result<Option<SavedToken>, VaultError> {
    Ok(vault.load(name)?.filter(|token| !token.expose().is_empty()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fmt;
    use std::sync::Mutex;

    use super::super::MemoryVault;
    use super::*;

    const NAME: &str = "com.example.till";

    /// A vault of another kind, whose process is killed at a call: before it, or after its effect.
    struct Killed<'a> {
        inside: &'a MemoryVault,
        kind: VaultKind,
        calls: &'a Mutex<Cell<usize>>,
        at: usize,
    }

    impl fmt::Debug for Killed<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Killed")
        }
    }

    impl Killed<'_> {
        /// Two moments for each call, of both vaults together.
        fn call<T>(&self, call: impl FnOnce() -> Result<T, VaultError>) -> Result<T, VaultError> {
            self.moment()?;
            let answer = call()?;
            self.moment()?;
            Ok(answer)
        }

        fn moment(&self) -> Result<(), VaultError> {
            let calls = self.calls.lock().unwrap();
            calls.set(calls.get() + 1);
            if calls.get() == self.at { Err(VaultError::NoAnswer) } else { Ok(()) }
        }
    }

    impl TokenVault for Killed<'_> {
        fn kind(&self) -> VaultKind {
            self.kind
        }

        fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError> {
            self.call(|| self.inside.load(name))
        }

        fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError> {
            self.call(|| self.inside.save(name, token))
        }

        fn delete(&self, name: &str) -> Result<(), VaultError> {
            self.call(|| self.inside.delete(name))
        }
    }

    fn with(text: Option<&str>) -> MemoryVault {
        let vault = MemoryVault::new();
        if let Some(text) = text {
            vault.save(NAME, &SavedToken::new(text.to_owned())).unwrap();
        }
        vault
    }

    fn text(vault: &MemoryVault) -> Option<String> {
        vault.load(NAME).unwrap().map(|token| token.expose().to_owned())
    }

    /// Moves from a file to the Secret Service, and is killed at that moment.
    fn move_killed(from: &MemoryVault, to: &MemoryVault, at: usize) -> Result<Moved, VaultError> {
        let calls = &Mutex::new(Cell::new(0));
        let vault = |inside, kind| Killed { inside, kind, calls, at };
        vault(from, VaultKind::File).move_to(&vault(to, VaultKind::SecretService), NAME)
    }

    #[test]
    fn a_kill_at_any_moment_loses_no_token_and_the_next_call_finishes() {
        let mut at = 1;
        loop {
            let (from, to) = (with(Some("one")), with(None));
            let first = move_killed(&from, &to, at);
            assert!(text(&from).is_some() || text(&to).is_some(), "moment {at}");
            let second = move_killed(&from, &to, 0).unwrap();
            assert_eq!((text(&from), text(&to).as_deref()), (None, Some("one")), "moment {at}");
            if first.is_ok() {
                assert_eq!(second, Moved::Nothing);
                break;
            }
            at += 1;
        }
        assert_eq!(at, 11, "five calls, two moments each, and one without a kill");
    }

    #[test]
    fn a_token_that_the_other_vault_has_is_not_replaced() {
        let (from, to) = (with(Some("one")), with(Some("two")));
        assert_eq!(move_killed(&from, &to, 0).unwrap(), Moved::BothKept);
        assert_eq!((text(&from).as_deref(), text(&to).as_deref()), (Some("one"), Some("two")));
    }

    #[test]
    fn an_empty_text_is_no_token_to_move_or_to_keep() {
        let (from, to) = (with(Some("one")), with(Some("")));
        assert_eq!(move_killed(&from, &to, 0).unwrap(), Moved::Done);
        assert_eq!((text(&from), text(&to).as_deref()), (None, Some("one")));

        let (from, to) = (with(Some("")), with(Some("two")));
        assert_eq!(move_killed(&from, &to, 0).unwrap(), Moved::Nothing);
        assert_eq!((text(&from).as_deref(), text(&to).as_deref()), (Some(""), Some("two")));
    }

    #[test]
    fn what_cannot_be_read_back_is_not_deleted() {
        /// Answers every save, and keeps nothing.
        #[derive(Debug)]
        struct Forgets;
        impl TokenVault for Forgets {
            fn kind(&self) -> VaultKind {
                VaultKind::Other
            }
            fn load(&self, _: &str) -> Result<Option<SavedToken>, VaultError> {
                Ok(None)
            }
            fn save(&self, _: &str, _: &SavedToken) -> Result<(), VaultError> {
                Ok(())
            }
            fn delete(&self, _: &str) -> Result<(), VaultError> {
                Ok(())
            }
        }
        let from = with(Some("one"));
        assert!(matches!(from.move_to(&Forgets, NAME), Err(VaultError::NoAnswer)));
        assert_eq!(text(&from).as_deref(), Some("one"));
    }

    #[test]
    fn two_vaults_of_one_kind_are_refused() {
        let (from, to) = (with(Some("one")), with(None));
        assert!(matches!(from.move_to(&from, NAME), Err(VaultError::SameKind)));
        assert!(matches!(from.move_to(&to, NAME), Err(VaultError::SameKind)));
        assert_eq!(text(&from).as_deref(), Some("one"));
    }
}
