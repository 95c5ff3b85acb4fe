//! The request handlers of a small server: `cargo run --example server`.
//!
//! There is no network here. Each handler is a function that takes what a request carries; its
//! error is an `ErrorClass`, for which `status` has the HTTP number. Each line printed is asserted.

use std::error::Error;

use gatepost::{
    DeviceId, ErrorClass, HeaderCredentials, LoginRequest, NewUser, Options, Password, Store,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path().join("auth.db"), Options::server())?;
    let ada = NewUser::person("ada").privilege("reports.read");
    store.users().create(ada.password("lantern over wet slate".into()))?;

    // A client draws its device id once and keeps it, for example in a cookie.
    let device = DeviceId::random()?;
    let wrong = log_in(&store, "ada", "a wrong guess", &device);
    shows("POST /login with a wrong password", status(&wrong), 401);
    let granted = log_in(&store, "ada", "lantern over wet slate", &device);
    shows("POST /login", status(&granted), 200);
    let header = format!("Bearer {}", granted.map_err(|class| format!("{class:?}"))?);

    let reply = report(&store, &header, &device, "reports.read");
    shows("GET /reports", status(&reply), 200);
    let reply = report(&store, &header, &device, "reports.write");
    shows("POST /reports without the privilege", status(&reply), 403);
    shows("POST /logout", status(&log_out(&store, &header, &device)), 200);
    let reply = report(&store, &header, &device, "reports.read");
    shows("GET /reports after the logout", status(&reply), 401);
    Ok(())
}

/// Returns the token. Hashes a password and writes the file: in an async server, call it on a
/// blocking thread.
fn log_in(
    store: &Store,
    username: &str,
    password: &str,
    device: &DeviceId,
) -> Result<String, ErrorClass> {
    let request = LoginRequest::new(username, Password::from(password), device.clone());
    let outcome = store.log_in(request).map_err(|error| error.class())?;
    let reply = outcome.granted().map_err(|refusal| refusal.class())?;
    Ok(reply.session.token.expose().to_owned())
}

/// Verifies the token and checks a privilege, at each request: a principal is never kept.
fn report(
    store: &Store,
    header: &str,
    device: &DeviceId,
    privilege: &str,
) -> Result<(), ErrorClass> {
    let credentials = HeaderCredentials::from_header(header).map_err(|error| error.class())?;
    let verdict = store.verify((&credentials.token, device)).map_err(|error| error.class())?;
    let principal = verdict.valid().map_err(|invalid| invalid.class())?;
    let permission = store.may(&principal, privilege).map_err(|error| error.class())?;
    permission.granted().map_err(|missing| missing.class())
}

fn log_out(store: &Store, header: &str, device: &DeviceId) -> Result<(), ErrorClass> {
    let credentials = HeaderCredentials::from_header(header).map_err(|error| error.class())?;
    store.log_out((&credentials.token, device)).map(drop).map_err(|error| error.class())
}

fn status<T>(answer: &Result<T, ErrorClass>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(ErrorClass::SignIn) => 401,
        Err(ErrorClass::Forbidden) => 403,
        Err(ErrorClass::NotFound) => 404,
        Err(ErrorClass::Conflict) => 409,
        Err(ErrorClass::Invalid) => 422,
        Err(ErrorClass::Wait) => 429,
        Err(ErrorClass::Unavailable) => 503,
    }
}

fn shows(request: &str, status: u16, expected: u16) {
    println!("{request}: {status}");
    assert_eq!(status, expected, "{request}");
}
