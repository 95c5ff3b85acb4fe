//! The parts of the story in which one-time tokens are requested, issued and used, and a key is
//! made from another.

use gatepost::directory::UserStatus;
use gatepost::sessions::*;
use gatepost::*;

use super::story::{FIRST, PHONE, Story, THIRD};
use crate::world::device;

impl Story {
    pub(super) fn makes_a_key(&mut self, store: &Store, parent: &Principal) {
        let made = store.api_keys().attenuate(parent, NewApiKey::new().scopes(["print"])).unwrap();
        self.gave(&made.key);
        self.held(&made);
        self.presents(made.key.expose());
        let made = store.verify((&made.key, None)).unwrap().valid().unwrap();
        self.failed(store.api_keys().attenuate(&made, NewApiKey::new().scopes(["scan"])));
    }

    pub(super) fn uses_one_time_tokens(&mut self, store: &Store) {
        let tokens = store.one_time_tokens();
        self.held(&tokens);
        let pat = NewUser::person("pat").email("pat@example.com").status(UserStatus::Pending);
        let pat = store.users().create(pat).unwrap().id;
        let new = NewOneTimeToken::invitation();
        self.held(&new);
        let issued = tokens.issue(pat, new).unwrap();
        self.gave(&issued.token);
        self.held(&issued);
        self.held(&issued.id);
        self.presents(issued.token.expose());
        self.held(&tokens.list(pat).unwrap());
        self.held(&tokens.list(pat).unwrap()[0].purpose);
        let accepted = tokens.accept_invitation(issued.token.expose(), FIRST.into()).unwrap();
        self.held(&accepted);

        let issued = tokens.issue(pat, NewOneTimeToken::email_confirmation()).unwrap();
        self.gave(&issued.token);
        self.held(&tokens.confirm_email(issued.token.expose()).unwrap());

        let request = tokens.request_password_reset("pat").unwrap();
        self.held(&request);
        let mail = request.mail().unwrap();
        self.gave(&mail.token);
        self.held(&mail);
        self.held(&RevokeApiKeys::All);
        let all = RevokeApiKeys::All;
        self.held(&tokens.reset_password(mail.token.expose(), THIRD.into(), all).unwrap());
        self.held(&tokens.reset_password(mail.token.expose(), THIRD.into(), all).unwrap());

        let issued = tokens.issue(pat, NewOneTimeToken::temporary_password()).unwrap();
        self.gave(&issued.token);
        let login = LoginRequest::new("pat", issued.token.expose().into(), device(PHONE));
        self.held(&login);
        let granted = store.log_in(login.new_password(FIRST.into())).unwrap();
        self.held(&granted);
        self.gave(&granted.granted().unwrap().session.token);
        tokens.revoke_all(pat).unwrap();
    }
}
