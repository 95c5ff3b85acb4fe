//! The story's end: what clients write and read.

use gatepost::directory::*;
use gatepost::wire::trustid;
use gatepost::*;
use serde_json::json;

use super::story::{AS_NAME, FIRST, PHONE, Story, THIRD};
use crate::world::World;

impl Story {
    /// The wire shapes: the serialised reply alone carries the token.
    pub(super) fn speaks_with_clients(&mut self, world: &World) {
        let store = &world.store;
        let york = store.branches().create("York", None).unwrap().id;
        store.credits().set(CreditHolder::Branch(york), 3).unwrap();
        let bob = NewUser::person("bob").password(Password::from(FIRST)).branch(york);
        let bob = store.users().create(bob).unwrap();
        let json = |name: &str| json!({ "Username": name, "Password": FIRST, "DeviceId": PHONE });
        let request: trustid::LoginRequest = serde_json::from_value(json(AS_NAME)).unwrap();
        self.held(&request);
        self.held(&LoginRequest::try_from(request).unwrap());
        let request: trustid::LoginRequest = serde_json::from_value(json("bob")).unwrap();
        let answer = store.log_in(request.try_into().unwrap()).unwrap();
        let reply = answer.into_wire(&store.service());
        let token = reply.session_id.as_ref().unwrap();
        self.gave(token);
        self.held(&reply);
        self.held(&reply.user.clone().unwrap());
        self.held(&reply.branch.clone().unwrap());
        self.held(&reply.remaining_credits.unwrap());
        self.held(&reply.organisation);
        self.held(&reply.configuration);
        let token = token.expose();

        let session = json!({ "SessionId": token, "DeviceId": PHONE });
        let session: trustid::SessionRequest = serde_json::from_value(session).unwrap();
        self.held(&session);
        self.held(&HeaderCredentials::try_from(session).unwrap());
        let change = json!({
            "SessionId": token, "DeviceId": PHONE, "CurrentPassword": FIRST, "NewPassword": THIRD
        });
        let change: trustid::ChangePasswordRequest = serde_json::from_value(change).unwrap();
        self.held(&change);
        self.held(&trustid::ChangePassword::try_from(change).unwrap());
        for refused in [
            json!({ "SessionId": 7, "Password": FIRST, "DeviceId": [FIRST] }),
            json!([FIRST, token]),
            json!(token),
        ] {
            let session =
                serde_json::from_value::<trustid::SessionRequest>(refused.clone()).unwrap_err();
            let login = serde_json::from_value::<trustid::LoginRequest>(refused).unwrap_err();
            self.prints.push(("an error of reading".to_owned(), format!("{session}{login:?}")));
        }
        store.sessions().revoke_all(bob.id).unwrap();
    }
}
