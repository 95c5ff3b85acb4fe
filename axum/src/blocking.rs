//! Calls that hash or write, away from the threads that serve requests.

use std::panic;

use gatepost::ErrorClass;

use crate::rejection::Rejection;

/// Runs calls of a store on a thread that may wait, and answers their error.
///
/// Use it for each call that hashes a password, writes, or reads more than a verify does: such a
/// call takes milliseconds, and may wait up to 5 s for another process. `Store::verify` and
/// `Store::may` may be called from async code: they are answered from memory, or by a short read
/// of the file that waits at most 50 ms for others.
///
/// `work` runs to its end, even if the client goes away. The handler does not: its future is then
/// dropped. So put what must follow the call, such as handing over a mail, into `work` as well.
///
/// ```
/// use gatepost::{NewUser, Options, Store};
/// use gatepost_axum::blocking;
///
/// # let directory = tempfile::tempdir()?;
/// # let store = Store::open(directory.path().join("auth.db"), Options::web())?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let ada = blocking(move || store.users().create(NewUser::person("ada"))).await?;
/// assert_eq!(ada.username, "ada");
/// # Ok::<(), gatepost_axum::Rejection>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// That of `work`, as a [`Rejection`]; and one of the class `Unavailable` if the runtime ends
/// before `work` begins.
pub async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Rejection>
where
    T: Send + 'static,
    E: Into<Rejection> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(failed) => match failed.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            Err(_) => Err(Rejection::new(
                ErrorClass::Unavailable,
                "unavailable",
                "The service is ending.",
            )),
        },
    }
}
