//! Second factors: the secret of a user's authenticator (TOTP, RFC 6238), the enrolment that is not
//! finished yet, and recovery codes.
//!
//! A code is accepted once, ever: the UPDATE that uses it raises `last_step` and finds its row only
//! while that is lower. A recovery code is used by the DELETE of its row. So of all callers in all
//! processes one gets it, before and after any crash.

mod personal;
mod rekey;
mod sealed;
mod spoilt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::factor_code::{FactorCode, draw_recovery_code};
use crate::value::id::{SessionId, UserId};
use crate::value::limits::{ENROLMENT_LIFETIME, RECOVERY_CODES, clock_skew_max_ms};
use crate::value::secret::Secret;
use crate::value::time::Timestamp;
use crate::value::totp::{FactorOrigin, TotpAlgorithm, TotpSecret, TotpShape, step_at, window};

pub use personal::UnfinishedEnrolment;
pub(crate) use personal::{enrolment_of, recovery_codes_issued_at};
pub(crate) use rekey::{opens_one, reseal_some, uses};
use sealed::Place;
pub(crate) use sealed::SealedSecret;
pub(crate) use spoilt::spoil_totp;

/// How an authenticator computes its codes: six digits from HMAC-SHA-1, unless the host sets
/// otherwise. A step is always 30 s.
///
/// ```
/// use gatepost::second_factors::{NewTotp, TotpAlgorithm};
///
/// let new = NewTotp::new().algorithm(TotpAlgorithm::Sha256).digits(8);
/// assert_ne!(new, NewTotp::new());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct NewTotp(TotpShape);

impl NewTotp {
    /// Six digits from HMAC-SHA-1, which every authenticator program computes.
    pub const fn new() -> Self {
        Self(TotpShape { algorithm: TotpAlgorithm::Sha1, digits: 6 })
    }

    /// The hash function. Some authenticator programs ignore it and compute HMAC-SHA-1: confirming
    /// the enrolment then fails.
    pub const fn algorithm(self, algorithm: TotpAlgorithm) -> Self {
        Self(TotpShape { algorithm, ..self.0 })
    }

    /// The number of digits, 6 or 8. Some authenticator programs ignore it and show 6.
    pub const fn digits(self, digits: u8) -> Self {
        Self(TotpShape { digits, ..self.0 })
    }

    /// # Errors
    /// `Invalid` if the number of digits is neither 6 nor 8.
    pub(crate) fn checked(self) -> Result<TotpShape> {
        match self.0.digits {
            6 | 8 => Ok(self.0),
            _ => Err(Error::invalid("digits of NewTotp is not 6 or 8")),
        }
    }
}

impl Default for NewTotp {
    fn default() -> Self {
        Self::new()
    }
}

/// An enrolment that was just begun: the only time that its secret can be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct TotpEnrolment {
    /// The secret in Base32, for a person who types it into an authenticator.
    pub base32: Secret,
    /// The same secret with all that an authenticator needs, as an `otpauth` URI: the text of the
    /// QR code to show.
    pub uri: Secret,
    /// The first moment at which the enrolment can no longer be confirmed.
    pub expires_at: Timestamp,
}

/// A new set of ten recovery codes: the only time that they can be read.
///
/// Each opens the way once, in the place of a code of the authenticator. The store keeps only
/// digests.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecoveryCodes {
    /// The codes, for the user to print or to store in a password manager.
    pub codes: Vec<Secret>,
}

/// The second factor of a user, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SecondFactor {
    /// The hash function of its codes.
    pub algorithm: TotpAlgorithm,
    /// The number of digits of its codes.
    pub digits: u8,
    /// How it came into the store.
    pub origin: FactorOrigin,
    /// Since when it is in force.
    pub since: Timestamp,
    /// How many recovery codes are left.
    pub recovery_codes_left: u64,
}

impl Store {
    /// Returns the handle of the second factors.
    #[must_use]
    #[doc(alias("MFA", "2FA", "TOTP", "two-factor"))]
    pub fn second_factors(&self) -> SecondFactors<'_> {
        SecondFactors { store: self }
    }
}

/// The second factors of users: an authenticator that computes time-based codes (TOTP, RFC 6238),
/// and recovery codes.
///
/// A user has at most one. A code is accepted once, ever, in any race of threads and processes
/// (RFC 6238, section 5.2), in its own step of 30 s and the next one
/// ([`strict_totp`](crate::Options::strict_totp): in its own alone). Each call that takes a
/// password or a code counts as an attempt before it is evaluated, as a login does. The manual has
/// [whole programs](crate::manual::second_factors).
#[doc(alias("MFA", "2FA", "authenticator"))]
#[derive(Debug)]
pub struct SecondFactors<'s> {
    pub(crate) store: &'s Store,
}

impl SecondFactors<'_> {
    /// Returns the second factor of a user; `None` if the user has none, or there is no such user.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// assert_eq!(store.second_factors().info(ada)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn info(&self, user: UserId) -> Result<Option<SecondFactor>> {
        self.store.read(|tx| of_user(tx, user))
    }
}

/// The second factor of a user, without its secret.
pub(crate) fn of_user(tx: &ReadTx<'_>, user: UserId) -> Result<Option<SecondFactor>> {
    let recovery_codes_left = recovery_codes_left(tx, user)?;
    tx.one(
        "SELECT algorithm, digits, origin, since FROM totp WHERE user_id = ?1",
        params![user],
        |row| {
            Ok(SecondFactor {
                algorithm: row.get(0)?,
                digits: row.get(1)?,
                origin: row.get(2)?,
                since: row.get(3)?,
                recovery_codes_left,
            })
        },
    )
}

/// Whether a user has a second factor in force. An enrolment that is not confirmed is none.
pub(crate) fn is_in_force(tx: &ReadTx<'_>, user: UserId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM totp WHERE user_id = ?1)";
    tx.exactly_one(sql, params![user], |row| row.get(0))
}

/// What a typed code was, and that it is used up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum CodeUse {
    /// A code of the authenticator.
    Totp,
    /// A recovery code.
    Recovery,
    /// No code of this user that is valid now.
    Wrong,
    /// A code of the authenticator that was used up before.
    Used,
    /// The secret is sealed under a key that this process lacks: the code could not be compared.
    LacksKey,
}

impl CodeUse {
    /// Whether the code was right, and is used up.
    pub(crate) const fn is_right(self) -> bool {
        matches!(self, Self::Totp | Self::Recovery)
    }
}

/// Uses a code of either kind up, if it is right.
///
/// # Errors
/// `Corrupt` if the secret was changed or copied in the file.
pub(crate) fn use_code(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    code: &FactorCode,
) -> Result<CodeUse> {
    match use_totp(tx, options, user, code)? {
        CodeUse::Wrong if use_recovery_code(tx, user, code)? => Ok(CodeUse::Recovery),
        other => Ok(other),
    }
}

/// Uses a code of the authenticator up, if it is right at the time of the transaction.
///
/// # Errors
/// As [`use_code`].
pub(crate) fn use_totp(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    code: &FactorCode,
) -> Result<CodeUse> {
    match step_of(tx, options, user, code)? {
        Ok(step) if use_step(tx, user, step)? => Ok(CodeUse::Totp),
        Ok(_) => Ok(CodeUse::Used),
        Err(not_right) => Ok(not_right),
    }
}

/// What [`use_totp`] would return now. Uses nothing up, so a later use may still fail.
///
/// # Errors
/// As [`use_code`].
pub(crate) fn check_totp(
    tx: &ReadTx<'_>,
    options: &Options,
    user: UserId,
    code: &FactorCode,
) -> Result<CodeUse> {
    let step = match step_of(tx, options, user, code)? {
        Ok(step) => step,
        Err(not_right) => return Ok(not_right),
    };
    let is_fresh = tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM totp WHERE user_id = ?1 AND last_step < ?2)",
        params![user, step],
        |row| row.get(0),
    )?;
    Ok(if is_fresh { CodeUse::Totp } else { CodeUse::Used })
}

/// Whether [`use_recovery_code`] would use this code up now.
pub(crate) fn check_recovery_code(
    tx: &ReadTx<'_>,
    user: UserId,
    code: &FactorCode,
) -> Result<bool> {
    let Some(digest) = code.recovery_digest(user) else { return Ok(false) };
    tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM recovery_code WHERE user_id = ?1 AND code_hash = ?2)",
        params![user, digest],
        |row| row.get(0),
    )
}

/// The step of a code of the authenticator, used or not; else why there is none.
fn step_of(
    tx: &ReadTx<'_>,
    options: &Options,
    user: UserId,
    code: &FactorCode,
) -> Result<std::result::Result<i64, CodeUse>> {
    let Some((sealed, shift)) = of(tx, user)? else { return Ok(Err(CodeUse::Wrong)) };
    let shape = sealed.shape;
    let Some(typed) = code.number(shape.digits) else { return Ok(Err(CodeUse::Wrong)) };
    let Some(secret) = sealed.open(options, Place::Factor, user)? else {
        return Ok(Err(CodeUse::LacksKey));
    };
    let steps = window(tx.now(), shift, options.strict_totp);
    Ok(shape.step_of(&secret, typed, steps).ok_or(CodeUse::Wrong))
}

/// Uses up the code of a step and those of all steps before it, in the one statement that also
/// checks that it was not used: of all callers in all processes, one gets `true`, once.
fn use_step(tx: &WriteTx<'_>, user: UserId, step: i64) -> Result<bool> {
    let used = tx.execute(
        "UPDATE totp SET last_step = ?2 WHERE user_id = ?1 AND last_step < ?2",
        params![user, step],
    )?;
    Ok(used == 1)
}

/// Uses a recovery code up, by its digest: of all callers in all processes, one gets `true`, once.
pub(crate) fn use_recovery_code(
    tx: &WriteTx<'_>,
    user: UserId,
    code: &FactorCode,
) -> Result<bool> {
    let Some(digest) = code.recovery_digest(user) else { return Ok(false) };
    let used = tx.execute(
        "DELETE FROM recovery_code WHERE user_id = ?1 AND code_hash = ?2",
        params![user, digest],
    )?;
    Ok(used == 1)
}

/// How many recovery codes of a user are left.
pub(crate) fn recovery_codes_left(tx: &ReadTx<'_>, user: UserId) -> Result<u64> {
    tx.count("SELECT count(*) FROM recovery_code WHERE user_id = ?1", params![user])
}

/// Issues a set of recovery codes in the place of the earlier one, whose codes end.
///
/// # Errors
/// `NoRandom`.
pub(crate) fn issue_recovery_codes(tx: &WriteTx<'_>, user: UserId) -> Result<RecoveryCodes> {
    delete_recovery_codes(tx, user)?;
    let issue = |_| {
        let (text, digest) = draw_recovery_code(user, tx.random())?;
        tx.execute(
            "INSERT INTO recovery_code (user_id, code_hash, issued_at) VALUES (?1, ?2, ?3)",
            params![user, digest, tx.now()],
        )?;
        Ok(text)
    };
    Ok(RecoveryCodes { codes: (0..RECOVERY_CODES).map(issue).collect::<Result<_>>()? })
}

fn delete_recovery_codes(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM recovery_code WHERE user_id = ?1", params![user]).map(drop)
}

/// The sealed secret of a user, and the shift of its window.
fn of(tx: &ReadTx<'_>, user: UserId) -> Result<Option<(SealedSecret, i64)>> {
    tx.one(
        "SELECT secret, key_id, algorithm, digits, shift FROM totp WHERE user_id = ?1",
        params![user],
        |row| Ok((sealed_of(row)?, row.get(4)?)),
    )
}

/// From the first four columns of a statement.
fn sealed_of(row: &Row<'_>) -> rusqlite::Result<SealedSecret> {
    let shape = TotpShape { algorithm: row.get(2)?, digits: row.get(3)? };
    let bytes = Zeroizing::new(row.get(0)?);
    Ok(SealedSecret { bytes, key_id: row.get(1)?, shape })
}

/// Begins an enrolment in a session, in the place of an earlier one of the user that was not
/// confirmed; returns when it expires.
///
/// # Errors
/// `KeyMissing` if this process cannot seal the secret and the options do not permit it unsealed,
/// `NoRandom`.
pub(crate) fn begin_enrolment(
    tx: &WriteTx<'_>,
    options: &Options,
    (user, session): (UserId, SessionId),
    shape: TotpShape,
    secret: &TotpSecret,
) -> Result<Timestamp> {
    let sealed = SealedSecret::seal(tx, options, Place::Enrolment, user, shape, secret)?;
    end_enrolment(tx, user)?;
    let expires_at = tx.now() + ENROLMENT_LIFETIME;
    tx.execute(
        "INSERT INTO totp_enrolment (user_id, secret, key_id, algorithm, digits, session_id,
             begun_seq, begun_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            user,
            sealed.bytes.as_slice(),
            sealed.key_id,
            shape.algorithm,
            shape.digits,
            session,
            tx.head()?,
            tx.now(),
            expires_at
        ],
    )?;
    Ok(expires_at)
}

/// The enrolment that was begun in this session and can be confirmed now. One that was begun before
/// a revocation of the user's one-time tokens cannot.
pub(crate) fn enrolment(
    tx: &ReadTx<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Option<SealedSecret>> {
    tx.one(
        concat!(
            "SELECT e.secret, e.key_id, e.algorithm, e.digits
             FROM totp_enrolment AS e JOIN user AS u ON u.id = e.user_id
             WHERE e.user_id = ?1 AND e.session_id = ?2 AND e.expires_at > ?3
                 AND e.begun_at <= ?3 + ",
            clock_skew_max_ms!(),
            " AND e.begun_seq >= u.tokens_ended_seq"
        ),
        params![user, session, tx.now()],
        sealed_of,
    )
}

/// Deletes the enrolment of a user that is not confirmed.
fn end_enrolment(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM totp_enrolment WHERE user_id = ?1", params![user]).map(drop)
}

/// A factor that comes into force.
#[derive(Debug)]
pub(crate) struct NewFactor<'f> {
    pub(crate) shape: TotpShape,
    pub(crate) secret: &'f TotpSecret,
    pub(crate) origin: FactorOrigin,
    /// By how many steps the clock of the authenticator is ahead: -1 to 1.
    pub(crate) shift: i64,
    /// Codes of this step and those before it count as used.
    pub(crate) last_step: i64,
}

/// Puts a factor in force, in the place of an earlier one: `true` if there was one. Its recovery
/// codes and an enrolment that was not confirmed end.
///
/// # Errors
/// As [`begin_enrolment`].
pub(crate) fn put(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    new: &NewFactor<'_>,
) -> Result<bool> {
    let NewFactor { shape, secret, origin, shift, last_step } = *new;
    let sealed = SealedSecret::seal(tx, options, Place::Factor, user, shape, secret)?;
    let replaces = remove(tx, user)?;
    tx.execute(
        "INSERT INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift,
             last_step)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            user,
            sealed.bytes.as_slice(),
            sealed.key_id,
            shape.algorithm,
            shape.digits,
            origin,
            tx.now(),
            shift,
            last_step
        ],
    )?;
    Ok(replaces)
}

/// Removes the second factor of a user, its recovery codes and an enrolment that was not confirmed;
/// `false` if the user has no factor.
pub(crate) fn remove(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    end_enrolment(tx, user)?;
    delete_recovery_codes(tx, user)?;
    let removed = tx.execute("DELETE FROM totp WHERE user_id = ?1", params![user])?;
    Ok(removed > 0)
}

/// The step up to which the codes of an imported secret count as used: another system may have
/// accepted them.
pub(crate) fn used_elsewhere(tx: &ReadTx<'_>) -> i64 {
    step_at(tx.now())
}

/// Deletes at most `most` enrolments that had expired at `at`, the first ones first.
pub(crate) fn sweep(tx: &WriteTx<'_>, at: Timestamp, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM totp_enrolment WHERE user_id IN (
             SELECT user_id FROM totp_enrolment WHERE expires_at <= ?1
             ORDER BY expires_at LIMIT ?2)",
        params![at, most],
    )
}
