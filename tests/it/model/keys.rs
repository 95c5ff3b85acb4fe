//! The rules of API keys.

use super::rules::Subject;
use super::{Expect, KEYS, MINUTE_MS, Model, Op, Shown, Token};

/// The keys that a key may have above it.
const ANCESTORS: usize = 8;

impl Model {
    pub(super) fn apply_to_keys(&mut self, kind: &str, op: Op) -> Expect {
        match op {
            Op::Issue { user, minutes } => self.issue(user, minutes),
            Op::Attenuate { token, shown, minutes } => self.attenuate(token, shown, minutes),
            Op::Rotate { token, minutes } => self.rotate(token, minutes),
            Op::Revoke { token } => self.revoke_key(kind, token),
            Op::RevokeKeys { user } => self.revoke_keys(kind, user),
            other => panic!("{other:?} is not about a key"),
        }
    }

    fn living_keys(&self, user: usize) -> Vec<usize> {
        let of_user = |token: &usize| {
            let key = &self.tokens[token];
            key.is_key && key.user == user && !self.is_ended(*token) && !self.over(*token)
        };
        self.tokens.keys().copied().filter(of_user).collect()
    }

    fn issue(&mut self, user: usize, minutes: Option<i64>) -> Expect {
        if self.users[user].deleted {
            return Expect::Failed("NotFound");
        }
        let issued = |token: &usize| self.tokens[token].parent.is_none();
        if self.living_keys(user).into_iter().filter(issued).count() >= KEYS {
            return Expect::Failed("LimitReached");
        }
        let expires_at = minutes.map(|minutes| self.now + minutes * MINUTE_MS);
        self.give_key(user, expires_at, None)
    }

    /// From a token that verifies. It expires with its parent at the latest.
    fn attenuate(&mut self, token: usize, shown: Shown, minutes: Option<i64>) -> Expect {
        let device = self.shown(token, shown);
        if self.used(token, device).is_none() {
            return Expect::Says("refused");
        }
        if self.keys_in_chain(token) > ANCESTORS {
            return Expect::Failed("LimitReached");
        }
        let asked = minutes.map(|minutes| self.now + minutes * MINUTE_MS);
        let Token { user, expires_at: latest, .. } = self.tokens[&token];
        self.give_key(user, asked.into_iter().chain(latest).min(), Some(token))
    }

    /// The keys from this token up.
    fn keys_in_chain(&self, token: usize) -> usize {
        let held = &self.tokens[&token];
        usize::from(held.is_key) + held.parent.map_or(0, |parent| self.keys_in_chain(parent))
    }

    fn rotate(&mut self, token: usize, minutes: i64) -> Expect {
        let (user, now) = (self.tokens[&token].user, self.now);
        if self.users[user].deleted || !self.living_keys(user).contains(&token) {
            return Expect::Failed("NotFound");
        }
        let end = now + minutes * MINUTE_MS;
        self.held(token).ended |= minutes == 0;
        // What was made from it expires no later.
        let all: Vec<usize> = self.tokens.keys().copied().collect();
        for one in all.into_iter().filter(|one| self.comes_from(*one, token)).collect::<Vec<_>>() {
            let key = self.held(one);
            key.expires_at = Some(key.expires_at.map_or(end, |own| own.min(end)));
        }
        let Token { lifetime_ms, parent, .. } = self.tokens[&token];
        let latest = parent.and_then(|parent| self.tokens[&self.last_of(parent)].expires_at);
        let own = lifetime_ms.map(|ms| now + ms);
        self.give_key(user, own.into_iter().chain(latest).min(), parent)
    }

    /// Whether it is that token, or was made from it.
    fn comes_from(&self, one: usize, token: usize) -> bool {
        let parent = self.tokens[&one].parent;
        one == token || parent.is_some_and(|parent| self.comes_from(parent, token))
    }

    fn give_key(&mut self, user: usize, expires_at: Option<i64>, parent: Option<usize>) -> Expect {
        let key = Token {
            is_key: true,
            user,
            device: None,
            ended: false,
            opened_at: self.now,
            authenticated_at: self.now,
            expires_at,
            lifetime_ms: expires_at.map(|at| at - self.now),
            last_use: self.now,
            renewed: None,
            parent,
        };
        self.tokens.insert(self.step, key);
        Expect::Issued(expires_at)
    }

    fn revoke_keys(&mut self, kind: &str, user: usize) -> Expect {
        if self.users[user].deleted {
            return Expect::Failed("NotFound");
        }
        self.revoke(kind, Subject::User(user));
        Expect::Says("done")
    }

    fn revoke_key(&mut self, kind: &str, token: usize) -> Expect {
        let known = !self.is_ended(token) && !self.over(token);
        self.revoke(kind, Subject::Token(token));
        if known { Expect::Says("done") } else { Expect::Anything }
    }
}
