//! The story's part about a person's data, about those who read the log, and about operators.

use gatepost::sessions::{Impersonation, OpenSession};
use gatepost::*;

use super::story::Story;

impl Story {
    pub(super) fn erases(&mut self, store: &Store) {
        self.held(&store.audit());
        store.audit().add_consumer("mailer").unwrap();
        let unseen = store.audit().unseen("mailer", 9).unwrap();
        store.audit().acknowledge("mailer", unseen.up_to).unwrap();
        self.held(&unseen);
        self.held(&unseen.missed);
        self.held(&unseen.entries[0].notice());
        self.held(&store.audit().consumers().unwrap());
        store.audit().remove_consumer("mailer").unwrap();
        self.failed(store.audit().sealed_anchor());
        self.failed(store.audit().open_anchor("sealed1$a$"));
        let gone = store.users().create(NewUser::person("gone")).unwrap().id;
        let data = store.users().personal_data(gone).unwrap();
        self.held(&data);
        self.held(&data.administrations);
        self.held(&data.enrolment);
        self.held(&data.waiting_logins);
        assert!(store.users().exposed_password_hash(gone).unwrap().is_none());
        store.users().delete(gone).unwrap();
        self.held(&store.users().erase(gone).unwrap());
        self.acts_as_another(store);
        self.held(&store.counts().unwrap());
        let found = store.examine().unwrap();
        self.held(&found);
        self.held(&found.hash_costs);
        let record = gatepost::directory::ImportRecord::User {
            id: gone,
            user: Box::new(NewUser::person("imported")),
            created_at: None,
            confirmed_at: None,
        };
        self.held(&record);
        let results = store.import(vec![record]).unwrap();
        self.held(results[0].as_ref().unwrap());
    }

    /// An administrator acts as a user, and an operator asks why that ended.
    fn acts_as_another(&mut self, store: &Store) {
        let boss = NewUser::person("boss").privilege("admin");
        let boss = store.users().create(boss).unwrap().id;
        let visited = store.users().create(NewUser::person("visited")).unwrap().id;
        let (desk, window) = (DeviceId::new("boss-1").unwrap(), DeviceId::new("boss-2").unwrap());
        let own = store.sessions().open(OpenSession::new(boss, desk.clone())).unwrap();
        let own = own.granted().unwrap().session.token;
        self.gave(&own);
        let by = store.verify((&own, &desk)).unwrap().valid().unwrap();
        let request = Impersonation::new(visited, window.clone()).label("case 4711");
        self.held(&request);
        let reply = store.sessions().impersonate(&by, request).unwrap().granted().unwrap();
        self.gave(&reply.session.token);
        self.held(&reply);
        store.log_out((&reply.session.token, &window)).unwrap();
        let explained = store.explain((&reply.session.token, &window)).unwrap();
        self.held(&explained);
        self.held(&explained.cause);
        self.held(&explained.evidence);
        self.held(&store.explain_credential(Credential::Session(reply.session.id)).unwrap());
        self.held(&store.explain_user(visited).unwrap());
        store.users().delete(boss).unwrap();
        store.users().delete(visited).unwrap();
    }
}
