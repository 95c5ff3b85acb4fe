//! A code that was typed beside a wrong password.

use super::sealed::{Place, SealedSecret};
use super::{of, use_step};
use crate::error::Result;
use crate::options::Options;
use crate::storage::WriteTx;
use crate::value::factor_code::FactorCode;
use crate::value::id::UserId;
use crate::value::totp::{TotpSecret, window};

/// Uses a right code of the user up. Where it is not to be compared, or there is no factor, the
/// same row is sought and a stand-in is opened and compared, so that the time does not say whether
/// there is such a user.
///
/// # Errors
/// `Corrupt` if the secret was changed or copied in the file.
pub(crate) fn spoil_totp(
    tx: &WriteTx<'_>,
    options: &Options,
    (near, is_compared): (UserId, bool),
    code: &FactorCode,
) -> Result<()> {
    let found = of(tx, near)?.filter(|_| is_compared);
    let is_own = found.is_some();
    let (sealed, shift) = found.unwrap_or_else(|| (SealedSecret::stand_in(options), 0));
    let (shape, opened) = (sealed.shape, sealed.open(options, Place::Factor, near));
    let secret = if is_own { opened? } else { TotpSecret::of_stored(sealed.bytes) };
    let Some(secret) = secret else { return Ok(()) };
    // What is no number of so many digits is compared as well: with no step is it right.
    let typed = code.number(shape.digits).unwrap_or(u32::MAX);
    let step = shape.step_of(&secret, typed, window(tx.now(), shift, options.strict_totp));
    if let Some(step) = step.filter(|_| is_own) {
        use_step(tx, near, step)?;
    }
    Ok(())
}
