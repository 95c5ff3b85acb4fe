//! Gatepost, as a host would use it.

use std::path::Path;

use gatepost::sessions::OpenSession;
use gatepost::testing::open_many;
use gatepost::{DeviceId, NewUser, Options, Store, UserId};
use peer_protocol::{Outcome, Peer, serve};

struct Gatepost {
    store: Store,
    user: UserId,
    sessions: Vec<(String, DeviceId)>,
}

impl Peer for Gatepost {
    type Presented = (String, DeviceId);

    fn open(directory: &Path, _: Option<&str>) -> Outcome<Result<Self, String>> {
        let store = Store::open(directory.join("auth.db"), Options::for_tests())?;
        let user = match store.users().find_by_username("ada")? {
            Some(ada) => ada.id,
            None => store.users().create(NewUser::person("ada"))?.id,
        };
        Ok(Ok(Self { store, user, sessions: Vec::new() }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        let opened = open_many(&self.store, self.user, count)?;
        self.sessions =
            opened.into_iter().map(|one| (one.token.expose().to_owned(), one.device)).collect();
        Ok(())
    }

    fn presented(&self, number: usize) -> Self::Presented {
        self.sessions[number].clone()
    }

    fn load(&mut self, presented: &[Self::Presented]) -> Outcome<usize> {
        let mut live = 0;
        for (token, device) in presented {
            live += usize::from(self.store.verify((token, device))?.valid().is_ok());
        }
        Ok(live)
    }

    fn open_one(&mut self) -> Outcome<String> {
        // A user of its own: the limit of sessions would end another one.
        let name = format!("victim {}", DeviceId::random()?.as_str());
        let user = self.store.users().create(NewUser::person(name))?.id;
        let device = DeviceId::random()?;
        let open = OpenSession::new(user, device.clone());
        let session = self.store.sessions().open(open)?.granted()?.session;
        Ok(format!("{}:{}", session.token.expose(), device.as_str()))
    }

    fn is_live(&mut self, token: &str) -> Outcome<bool> {
        let (token, device) = split(token)?;
        Ok(self.store.verify((token, &device))?.valid().is_ok())
    }

    fn end(&mut self, token: &str) -> Outcome<()> {
        let (token, device) = split(token)?;
        let _ = self.store.log_out((token, &device))?;
        Ok(())
    }
}

fn split(token: &str) -> Outcome<(&str, DeviceId)> {
    let (token, device) = token.split_once(':').ok_or("no device")?;
    Ok((token, DeviceId::new(device)?))
}

fn main() -> Outcome<()> {
    serve::<Gatepost>()
}
