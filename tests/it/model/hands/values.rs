//! Configuration and credits, in words and in calls.

use gatepost::directory::CreditHolder;
use gatepost::{Error, Subtree, UserId};

use super::{Hands, Words};

impl Hands {
    pub(super) fn value(&self, words: &mut Words<'_>) -> Result<String, Error> {
        let (configuration, credits) = (self.store.configuration(), self.store.credits());
        let verb = words.text();
        if verb == "in-force" {
            let (user, key) = (words.some::<UserId>(), words.text());
            let found = configuration.effective(user, key)?;
            return Ok(found.map_or("-".into(), |setting| setting.value));
        }
        let place = words.text();
        let scope = match place {
            "system" => Subtree::Store,
            "organisation" => Subtree::Organisation(words.some()),
            "branch" => Subtree::Branch(words.some()),
            _ => Subtree::User(words.some()),
        };
        let holder = || match scope {
            Subtree::Organisation(id) => CreditHolder::Organisation(id),
            Subtree::Branch(id) => CreditHolder::Branch(id),
            other => panic!("{other:?} has no credits"),
        };
        match verb {
            "set" => configuration.set(scope, words.text(), words.text()).map(|_| "done".into()),
            "remove" => configuration.remove(scope, words.text()).map(|was| was.to_string()),
            "count" => credits.set(holder(), words.any::<u64>()).map(|()| "done".into()),
            "spend" => credits.spend(holder(), words.some()).map(|left| left.to_string()),
            "add" => credits.add(holder(), words.some()).map(|left| left.to_string()),
            verb => panic!("what is {verb}?"),
        }
    }
}
