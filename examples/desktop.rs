//! A desktop application from its first start to the next: `cargo run --example desktop`.
//!
//! At each start it resumes the saved session or signs the user in; the first time the user has to
//! choose a new password. Each line printed is asserted.

use std::error::Error;

use gatepost::{
    ClientKind, DeviceId, LoginRefusal, LoginRequest, NewUser, Options, Password, Principal, Store,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the application keeps between two starts: the device id in its settings, the token in the
/// key store of the operating system.
struct Saved {
    device: DeviceId,
    token: Option<String>,
}

fn main() -> Result<()> {
    let directory = tempfile::tempdir()?; // an application uses its own data directory
    let path = directory.path().join("auth.db");
    let mut saved = Saved { device: DeviceId::random()?, token: None };

    let store = Store::open(&path, Options::desktop())?;
    let bertram = NewUser::person("bertram").password("a password to begin with".into());
    store.users().create(bertram.must_change_password())?;
    assert!(resume(&store, &saved)?.is_none());
    println!("first start: no session is saved, so the application asks for a password");

    let (first, new) = ("a password to begin with", "seven geese at noon");
    let refusal = sign_in(&store, &mut saved, first, None)?.err();
    assert_eq!(refusal, Some(LoginRefusal::NewPasswordRequired));
    println!("sign in: {}", LoginRefusal::NewPasswordRequired.message());
    let principal = sign_in(&store, &mut saved, first, Some(new))??;
    println!("sign in with a new password: {} is signed in", username(&store, &principal)?);
    store.close()?;

    let store = Store::open(&path, Options::desktop())?;
    let principal = resume(&store, &saved)?.ok_or("the saved session is valid")?;
    println!("next start: the session of {} goes on", username(&store, &principal)?);

    if let Some(token) = saved.token.take() {
        store.log_out((&token, &saved.device))?;
        assert!(store.verify((&token, &saved.device))?.valid().is_err());
    }
    assert!(resume(&store, &saved)?.is_none());
    println!("signed out: the next start asks for the password again");
    Ok(())
}

/// The identity behind the saved token, if it is still valid.
fn resume(store: &Store, saved: &Saved) -> Result<Option<Principal>> {
    let Some(token) = &saved.token else { return Ok(None) };
    Ok(store.verify((token, &saved.device))?.valid().ok())
}

/// A refusal is not an error: the application shows its message and asks again.
fn sign_in(
    store: &Store,
    saved: &mut Saved,
    password: &str,
    new: Option<&str>,
) -> Result<std::result::Result<Principal, LoginRefusal>> {
    let request = LoginRequest::new("bertram", Password::from(password), saved.device.clone());
    let mut request = request.client(ClientKind::Desktop);
    if let Some(new) = new {
        request = request.new_password(Password::from(new));
    }
    Ok(store.log_in(request)?.granted().map(|reply| {
        saved.token = Some(reply.session.token.expose().to_owned());
        reply.principal
    }))
}

fn username(store: &Store, principal: &Principal) -> Result<String> {
    Ok(store.profile(principal)?.user.username)
}
