//! The story's part about a person's data, about those who read the log, and about operators.

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
        self.held(&store.users().personal_data(gone).unwrap());
        store.users().delete(gone).unwrap();
        self.held(&store.users().erase(gone).unwrap());
        self.held(&store.counts().unwrap());
        let found = store.examine().unwrap();
        self.held(&found);
        self.held(&found.hash_costs);
    }
}
