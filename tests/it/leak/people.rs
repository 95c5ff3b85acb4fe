//! The story's part about a person's data, and about those who read the log.

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
        assert!(store.users().exposed_password_hash(gone).unwrap().is_none());
        store.users().delete(gone).unwrap();
        self.held(&store.users().erase(gone).unwrap());
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
}
