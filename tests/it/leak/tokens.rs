//! The parts of the story in which one-time tokens are requested, issued and used, tickets are
//! minted, and a key is made from another.

use gatepost::directory::UserStatus;
use gatepost::sessions::*;
use gatepost::*;

use super::story::{FIRST, PHONE, Story, THIRD};
use crate::world::{World, device};

impl Story {
    pub(super) fn makes_a_key(&mut self, store: &Store, parent: &Principal) {
        let made = store.api_keys().attenuate(parent, NewApiKey::new().scopes(["print"])).unwrap();
        self.gave(&made.key);
        self.held(&made);
        self.presents(made.key.expose());
        let made = store.verify((&made.key, None)).unwrap().valid().unwrap();
        self.failed(store.api_keys().attenuate(&made, NewApiKey::new().scopes(["scan"])));
    }

    /// In a store of its own, which has no administrator yet.
    fn gets_an_administrator(&mut self, world: &World) {
        let path = world.directory().join("new.db");
        let store = Store::open(&path, world.options.clone()).unwrap();
        let tokens = store.one_time_tokens();
        let issued = tokens.issue_first_administrator().unwrap();
        self.gave(&issued.token);
        self.held(&issued);
        let create = || {
            tokens
                .create_first_administrator(issued.token.expose(), "chief", FIRST.into())
                .unwrap()
        };
        self.held(&create());
        self.held(&create());
        store.close().unwrap();
    }

    pub(super) fn uses_one_time_tokens(&mut self, world: &World) {
        let store = &world.store;
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
        let reply = granted.granted().unwrap();
        self.gave(&reply.session.token);
        self.presents_tickets(store, &reply.principal);
        self.is_known_elsewhere(store, pat);
        self.administers(store, &reply.principal);
        self.gets_an_administrator(world);
        tokens.revoke_all(pat).unwrap();
        self.failed(tokens.issue_first_administrator());
    }
    fn presents_tickets(&mut self, store: &Store, principal: &Principal) {
        let tickets = store.tickets();
        self.held(&tickets);
        let new = NewTicket::new("GET", "/images/7");
        self.held(&new);
        let minted = tickets.mint(principal, new).unwrap();
        self.held(&minted);
        let issued = minted.valid().unwrap();
        self.gave(&issued.ticket);
        self.held(&issued);
        let verdict = tickets.verify(issued.ticket.expose(), "GET", "/images/7").unwrap();
        self.held(&verdict);
        let bearer = verdict.valid().unwrap();
        self.held(&bearer);
        self.held(&tickets.may(&bearer, "admin").unwrap());
        self.held(&tickets.verify(issued.ticket.expose(), "GET", "/images/8").unwrap());
    }

    fn administers(&mut self, store: &Store, principal: &Principal) {
        let york = store.branches().create("Whitby", None).unwrap().id;
        let users = store.users();
        assert!(users.grant_administration(principal.user, york).unwrap());
        let of_pat = store.administering(principal);
        self.held(&of_pat);
        self.held(&of_pat.subtrees().unwrap());
        self.held(&of_pat.users());
        self.held(&of_pat.branches());
        self.held(&of_pat.organisations());
        self.held(&of_pat.sessions());
        self.held(&of_pat.api_keys());
        self.held(&of_pat.one_time_tokens());
        self.held(&of_pat.second_factors());
        self.held(&of_pat.users().administrations(principal.user).unwrap());
        self.failed(of_pat.users().delete(principal.user));
        assert!(users.withdraw_administration(principal.user, york).unwrap());
        store.branches().delete(york).unwrap();
    }

    fn is_known_elsewhere(&mut self, store: &Store, ada: UserId) {
        let identities = store.external_identities();
        self.held(&identities);
        self.held(&identities.link(ada, "https://login.example.com", "7").unwrap());
        self.held(&identities.list(ada).unwrap());
        self.held(&identities.find("https://login.example.com", "7").unwrap());
        assert!(identities.unlink(ada, "https://login.example.com", "7").unwrap());
    }
}
