//! The rules of API keys.

use super::rules::Subject;
use super::{Expect, KEYS, MINUTE_MS, Model, Token};

impl Model {
    fn living_keys(&self, user: usize) -> Vec<usize> {
        let of_user = |token: &usize| {
            let key = &self.tokens[token];
            key.is_key && key.user == user && !key.ended && !self.over(*token)
        };
        self.tokens.keys().copied().filter(of_user).collect()
    }

    pub(super) fn issue(&mut self, user: usize, minutes: Option<i64>) -> Expect {
        if self.users[user].deleted {
            return Expect::Failed("NotFound");
        }
        if self.living_keys(user).len() >= KEYS {
            return Expect::Failed("LimitReached");
        }
        let expires_at = minutes.map(|minutes| self.now + minutes * MINUTE_MS);
        self.give_key(user, expires_at)
    }

    pub(super) fn rotate(&mut self, token: usize, minutes: i64) -> Expect {
        let (user, now) = (self.tokens[&token].user, self.now);
        if self.users[user].deleted || !self.living_keys(user).contains(&token) {
            return Expect::Failed("NotFound");
        }
        let end = now + minutes * MINUTE_MS;
        let old = self.held(token);
        old.ended |= minutes == 0;
        old.expires_at = Some(old.expires_at.map_or(end, |old| old.min(end)));
        let expires_at = old.lifetime_ms.map(|ms| now + ms);
        self.give_key(user, expires_at)
    }

    fn give_key(&mut self, user: usize, expires_at: Option<i64>) -> Expect {
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
        };
        self.tokens.insert(self.step, key);
        Expect::Issued(expires_at)
    }

    pub(super) fn revoke_keys(&mut self, kind: &str, user: usize) -> Expect {
        if self.users[user].deleted {
            return Expect::Failed("NotFound");
        }
        self.revoke(kind, Subject::User(user));
        Expect::Says("done")
    }

    pub(super) fn revoke_key(&mut self, kind: &str, token: usize) -> Expect {
        let known = !self.tokens[&token].ended && !self.over(token);
        self.revoke(kind, Subject::Token(token));
        if known { Expect::Says("done") } else { Expect::Anything }
    }
}
