//! The story's part about keys.

use std::sync::Arc;

use data_encoding::BASE64_NOPAD;
use gatepost::host::*;
use gatepost::*;

use super::needle::Needle;
use super::story::{PHONE, SEALED, Story, phc_of};
use crate::world::{World, device, for_tests};

impl Story {
    /// A second file, whose hashes are sealed: its key and its hashes are secrets as well.
    pub(super) fn seals(&mut self, world: &World) {
        const KEY: [u8; 32] = *b"the key that seals every hash...";
        self.secrets.push(Needle::bytes("the key", &KEY));
        let phc = phc_of(SEALED);
        let output = phc.rsplit('$').next().unwrap().as_bytes();
        let output = BASE64_NOPAD.decode(output).unwrap();
        self.secrets.push(Needle::bytes("a hash that is sealed", &output));
        let id = KeyId::new("2026-11").unwrap();
        self.shown(&id);
        self.held(&KeyId::new(SEALED));
        self.held(&SealingKey::new(KEY));
        self.held(&SealingKey::random().unwrap());
        let keys = Arc::new(Keys::new(id.clone(), SealingKey::new(KEY)));
        self.held(&*keys);
        self.held(&keys.key(&id));
        // Beside the files that are searched: a key file holds a key.
        let elsewhere = tempfile::tempdir().unwrap();
        let key_file = elsewhere.path().join("2026-11.key");
        self.held(&Keys::create_file(&key_file, &id).unwrap());
        self.held(&Keys::from_file(&key_file).unwrap());
        self.failed(Keys::from_file(&world.path).map(drop));
        let path = world.directory().join("sealed.db");
        let options = for_tests().keyring(keys);
        self.held(&options);
        let store = Store::open(&path, options.clone()).unwrap();
        let eve = NewUser::person("eve").password_hash(&phc);
        let eve = store.users().create(eve).unwrap().id;
        self.held(&store.rekey(9).unwrap());
        self.held(&store.key_use().unwrap()[0]);
        self.held(&store.status());
        let request = || LoginRequest::new("eve", Password::from(SEALED), device(PHONE));
        let reply = store.log_in(request()).unwrap().granted().unwrap();
        self.gave(&reply.session.token);
        let damage = "UPDATE credential SET phc = replace(phc, 't=1', 't=2') WHERE user_id = ?1";
        let sql = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(sql.execute(damage, [eve.as_uuid().as_bytes()]).unwrap(), 1);
        drop(sql);
        self.failed(store.log_in(request()).map(drop));
        store.close().unwrap();
        self.failed(Store::open(&path, for_tests()).map(drop));
        self.has_second_factors(world);
        self.has_steps(world);
    }
}
