//! Configuration and credits, told and done.

use gatepost::{Error, Holder, Scope, UserId};

use super::{Hands, Names, Words};
use crate::model::{ValueOp, Where};

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
            "system" => Scope::System,
            "organisation" => Scope::Organisation(words.some()),
            "branch" => Scope::Branch(words.some()),
            _ => Scope::User(words.some()),
        };
        let holder = || match scope {
            Scope::Organisation(id) => Holder::Organisation(id),
            Scope::Branch(id) => Holder::Branch(id),
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

impl Names {
    pub(super) fn line_of_value(&self, op: ValueOp) -> String {
        let key = |key: u32| format!("{}.k{key}", self.prefix);
        let at = |place: Where| match place {
            Where::System => "system".into(),
            Where::Organisation(o) => format!("organisation {}", self.organisations[o]),
            Where::Branch(b) => format!("branch {}", self.branches[b]),
            Where::User(u) => format!("user {}", self.users[u]),
        };
        match op {
            ValueOp::Set { place, key: k, value } => {
                format!("value set {} {} {value}", at(place), key(k))
            }
            ValueOp::Remove { place, key: k } => {
                format!("value remove {} {}", at(place), key(k))
            }
            ValueOp::InForce { user, key: k } => {
                format!("value in-force {} {}", self.users[user], key(k))
            }
            ValueOp::Count { place, credits } => {
                let credits = credits.map_or("-".into(), |credits| credits.to_string());
                format!("value count {} {credits}", at(place))
            }
            ValueOp::Spend { place, credits } => format!("value spend {} {credits}", at(place)),
            ValueOp::Add { place, credits } => format!("value add {} {credits}", at(place)),
        }
    }
}
