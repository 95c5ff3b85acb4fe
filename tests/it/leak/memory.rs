//! After a logout, the process's own memory holds no token, no password and no sealed hash (R54).
//!
//! A process of its own logs in and out, drops what it was handed and then reads all of its memory
//! through `/proc/self/mem`. Another one looks for pieces of a long password while it is checked.
//! What they look for is kept masked, so that they do not find themselves.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use gatepost::policy::{BreachCheck, PasswordPolicy, PasswordRule};
use gatepost::{DeviceId, LoginRequest, NewUser, Password, Store};

use crate::child::{Child, Parent};
use crate::keyring::keys;
use crate::world::{World, for_tests};

const MASK: u8 = 0x5a;
/// What a scan reads at once.
const CHUNK: usize = 1 << 16;
/// The letters of a long password that are looked for: a text that doubles its room leaves them
/// when it outgrows 32, and the allocator writes over the first 16 bytes of memory that is freed.
const PIECE: Range<usize> = 16..32;

#[test]
fn after_a_logout_no_secret_is_left_in_memory() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let world = World::new();
    let mut child = Child::start("look through its own memory", &[world.path.to_str().unwrap()]);
    let mut left = Vec::new();
    while let Some(line) = child.hear_if_any().filter(|line| line != "looked") {
        left.push(line);
    }
    assert!(left.is_empty(), "still in memory: {left:?}");
    child.end();
}

/// Each comparison folds the password. A folded text that grew would leave the memory that it grew
/// out of, with its beginning.
#[test]
fn a_long_password_that_is_compared_with_lists_and_names_leaves_no_piece_in_memory() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let mut child = Child::start("look for a long password", &[]);
    assert_eq!(child.hear(), "no more copies");
    child.end();
}

/// The role of the other process.
pub(crate) fn look_through(parent: &mut Parent, words: &[String]) {
    let secrets = live(words[0].as_ref());
    for (what, secret) in &secrets {
        if find(secret) > 0 {
            parent.say(what);
        }
    }
    parent.say("looked");
}

/// The role of the process that has a long password checked: it looks for a piece of it right after
/// the comparisons, before the memory that they freed is used for anything else.
pub(crate) fn look_for_long_password(parent: &mut Parent, _: &[String]) {
    let [uncompared, compared] = [false, true].map(copies);
    assert!(uncompared.0 > 0, "the scan misses the password that is being checked");
    assert_eq!((uncompared.1, compared.1), (0, 0), "after the call");
    let is_alike = uncompared.0 == compared.0;
    parent.say(if is_alike { "no more copies" } else { "a copy for the comparisons" });
}

/// How often a piece of a password of 128 letters is in memory when the breach check refuses it,
/// which comes last, and after that call.
fn copies(is_compared: bool) -> (usize, usize) {
    let password = Masked::long();
    let piece = Masked(password.0[PIECE].to_vec());
    let looking = Arc::new(Looking { piece, found: AtomicUsize::new(0) });
    let policy = PasswordPolicy::default().blocklist(is_compared).context(is_compared);
    let options = for_tests().passwords(policy).breach_check(looking.clone());
    let store = Store::in_memory(options).unwrap();
    let new = NewUser::person("countess").password(Password::from(password.plain()));
    let refused = store.users().create(new).unwrap_err();
    assert_eq!(refused.password_rule(), Some(PasswordRule::Breached));
    (looking.found.load(Ordering::SeqCst), find(&looking.piece))
}

/// Looks for a piece of the password when it is asked, and refuses the password.
#[derive(Debug)]
struct Looking {
    piece: Masked,
    found: AtomicUsize,
}

impl BreachCheck for Looking {
    fn is_breached(&self, _: &str) -> bool {
        self.found.store(find(&self.piece), Ordering::SeqCst);
        true
    }
}

/// A whole life of a session, and a change of its password; what was secret in it, masked.
fn live(path: &Path) -> Vec<(&'static str, Masked)> {
    let store = Store::open(path, for_tests().keyring(keys(&[("2026-11", 7)]))).unwrap();
    let hash = sealed_hash(&store);
    let (first, second) = (Masked::random(), Masked::random());
    let typed = |password: &Masked| Password::from(password.plain());
    store.users().create(NewUser::person("ada").password(typed(&first))).unwrap();
    let device = DeviceId::new("till-1").unwrap();
    let reply = store.log_in(LoginRequest::new("ada", typed(&first), device.clone())).unwrap();
    let old = reply.granted().unwrap().session.token;
    assert!(store.verify((&old, &device)).unwrap().valid().is_ok());
    let old_text = Masked::of(old.expose().as_bytes());
    let changed = store.change_password((&old, &device), typed(&first), typed(&second));
    let token = changed.unwrap().granted().unwrap().session.token;
    drop(old);

    let (text, raw) = (Masked::of(token.expose().as_bytes()), raw_secret(token.expose()));
    assert!(store.verify((&token, &device)).unwrap().valid().is_ok());
    assert!(find(&text) > 0, "the scan misses the token that is still held");
    store.log_out((&token, &device)).unwrap();
    drop(token);
    vec![
        ("the first password", first),
        ("the password it was changed to", second),
        ("the text of the token before that", old_text),
        ("the text of the token after that", text),
        ("the secret of the token after that", raw),
        ("a hash that is sealed", hash.0),
        ("the text of a hash that is sealed", hash.1),
    ]
}

/// Imports a hash, which is sealed, and compares a password with it; its bytes and its text.
fn sealed_hash(store: &Store) -> (Masked, Masked) {
    let bytes = Masked::random();
    let mut plain = bytes.plain().into_bytes();
    // All of it at once, as a text that grows leaves copies: it is wiped with the request.
    let mut phc = String::with_capacity(256);
    phc.push_str("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$");
    let head = phc.len();
    BASE64_NOPAD.encode_append(&plain, &mut phc);
    plain.fill(0);
    std::hint::black_box(&plain);
    let text = Masked::of(&phc.as_bytes()[head..]);
    store.users().create(NewUser::person("bob").password_hash(phc)).unwrap();
    let wrong = LoginRequest::new("bob", "no such word".into(), DeviceId::new("till-2").unwrap());
    assert!(store.log_in(wrong).unwrap().granted().is_err());
    assert_eq!(store.rekey(9).unwrap().hashes, 0);
    (bytes, text)
}

/// The 32 random bytes of a token, masked before they are stored anywhere.
fn raw_secret(token: &str) -> Masked {
    let mut raw = BASE64URL_NOPAD.decode(&token.as_bytes()[4..]).unwrap();
    let masked = Masked::of(&raw[16..48]);
    raw.fill(0);
    std::hint::black_box(&raw);
    masked
}

/// Bytes that are nowhere in memory in plain form.
#[derive(Debug)]
struct Masked(Vec<u8>);

impl Masked {
    fn of(plain: &[u8]) -> Self {
        Self(plain.iter().map(|byte| byte ^ MASK).collect())
    }

    /// Thirty-two letters.
    fn random() -> Self {
        let device = DeviceId::random().unwrap();
        // Not the text itself, whose memory is never wiped: another one made of it.
        let shifted = |byte: u8| b'a' + (byte.wrapping_mul(7) % 26);
        Self(device.as_str().bytes().map(|byte| shifted(byte) ^ MASK).collect())
    }

    /// 128 letters.
    fn long() -> Self {
        Self((0..4).flat_map(|_| Self::random().0).collect())
    }

    fn plain(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        text.extend(self.0.iter().map(|byte| char::from(byte ^ MASK)));
        text
    }
}

/// How often it is in the memory that this process can write.
fn find(secret: &Masked) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut chunk = vec![0_u8; CHUNK + secret.0.len()];
    let own = chunk.as_ptr() as u64;
    let own = own..own + chunk.len() as u64;
    let mut found = 0;
    for (begin, end) in regions() {
        let mut at = begin;
        while at < end {
            let wanted = usize::try_from((end - at).min(chunk.len() as u64)).unwrap();
            let read = memory.read_at(&mut chunk[..wanted], at).unwrap_or(0);
            found += places(&chunk[..read], secret)
                // What begins behind that is counted with the next chunk.
                .filter(|place| *place < CHUNK && !own.contains(&(at + *place as u64)))
                .count();
            at += CHUNK as u64;
        }
        chunk.fill(0);
    }
    found
}

fn regions() -> Vec<(u64, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let region = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (begin, end) = range.split_once('-')?;
        let is_memory = rest.starts_with("rw") && !rest.contains("[v");
        let number = |hex| u64::from_str_radix(hex, 16).ok();
        is_memory.then_some((number(begin)?, number(end)?))
    };
    maps.lines().filter_map(region).collect()
}

fn places<'c>(chunk: &'c [u8], secret: &'c Masked) -> impl Iterator<Item = usize> + 'c {
    let first = secret.0[0] ^ MASK;
    let matches = move |place: &usize| {
        chunk[*place..]
            .iter()
            .zip(&secret.0)
            .filter(|(byte, masked)| **byte == **masked ^ MASK)
            .count()
            == secret.0.len()
    };
    chunk
        .iter()
        .enumerate()
        .filter(move |(_, byte)| **byte == first)
        .map(|(at, _)| at)
        .filter(matches)
}
