//! A VFS beneath every connection: it counts the calls that SQLite makes of the system, writes them
//! down, and at the planned one it fails or kills the process.
//!
//! It is over the system's own VFS and is made the default, so that every store opens
//! through it. Its files are the system's behind a head of ours ([`file`]); shared memory is
//! passed through, so the wal-index works as it does without.

mod file;
mod medium;
mod quota;
mod transfer;

use std::ffi::{CStr, c_char, c_int};
use std::mem;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

use crate::process::die;
use file::{File, HEAD_BYTES};
pub(crate) use quota::refuse_new_files;

/// A call of SQLite to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Call {
    Open = 1,
    Delete = 1 << 1,
    Read = 1 << 2,
    Write = 1 << 3,
    Truncate = 1 << 4,
    Sync = 1 << 5,
    Size = 1 << 6,
    /// Of a region of the wal-index.
    Map = 1 << 7,
    /// Of the file or the wal-index, taken or given back.
    Lock = 1 << 8,
    /// Between the two copies of the header of the wal-index.
    Barrier = 1 << 9,
    /// A `pread` or `pwrite` of the system itself, beneath SQLite's loops around them.
    Transfer = 1 << 10,
    /// A call of the system itself that a read-only medium refuses.
    Alter = 1 << 11,
}

/// The calls that change something which another process or a later one could see.
pub(crate) const CHANGING: u32 = Call::Open as u32
    | Call::Delete as u32
    | Call::Write as u32
    | Call::Truncate as u32
    | Call::Sync as u32
    | Call::Map as u32
    | Call::Lock as u32
    | Call::Barrier as u32;

/// The calls that a broken or full disk can refuse.
pub(crate) const FAILING: u32 = Call::Open as u32
    | Call::Delete as u32
    | Call::Read as u32
    | Call::Write as u32
    | Call::Truncate as u32
    | Call::Sync as u32
    | Call::Size as u32
    | Call::Map as u32;

/// The calls that may be interrupted or cut short without an error.
pub(crate) const MOVING: u32 = Call::Transfer as u32;

/// The calls that a read-only medium refuses.
pub(crate) const ALTERING: u32 = Call::Alter as u32;

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Kill,
    /// The system reports an input or output error; of a write, half was done.
    Io,
    /// The disk is full; of a write, half was done.
    Full,
    /// The quota is used up; of a write, half was done.
    Quota,
    /// A signal came in between, and nothing was done.
    Interrupted,
    /// Half was done, and said so.
    Short,
    /// The medium is read-only.
    ReadOnly,
}

impl Blow {
    /// Whether it is no error, so that no caller may notice it.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::Interrupted | Self::Short)
    }
}

/// What happens, and at which call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Only these are counted: an OR of [`Call`]s.
    pub(crate) calls: u32,
    /// The first has the number 1; 0 is never reached.
    pub(crate) at: u64,
    /// At every later one as well.
    pub(crate) for_ever: bool,
    pub(crate) blow: Blow,
}

/// Which of a store's files a call was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Which {
    Database,
    Log,
    Journal,
    Other,
}

/// One call that changed something.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Created(Which),
    Write {
        which: Which,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        which: Which,
        bytes: usize,
    },
    Sync(Which),
    /// `durable` if the directory was flushed as well.
    Delete {
        which: Which,
        durable: bool,
    },
    /// A caller has had its answer, or is about to call.
    Answered,
}

impl Entry {
    /// The file that it is about.
    pub(crate) fn which(&self) -> Option<Which> {
        match self {
            Self::Created(which) | Self::Sync(which) => Some(*which),
            Self::Write { which, .. }
            | Self::Truncate { which, .. }
            | Self::Delete { which, .. } => Some(*which),
            Self::Answered => None,
        }
    }

    /// Whether the file may say something new from here on.
    pub(crate) fn may_commit(&self) -> bool {
        match self {
            Self::Sync(which) => *which == Which::Log,
            Self::Truncate { which, .. } => *which == Which::Journal,
            Self::Answered | Self::Delete { .. } => true,
            Self::Created(_) | Self::Write { .. } => false,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    seen: u64,
    struck: u64,
    record: Option<Vec<Entry>>,
    /// How many bytes the files may have together; `None` if the disk has no end.
    room: Option<u64>,
    /// The room is a quota and not the disk.
    is_quota: bool,
    sizes: [u64; 4],
}

static STATE: Mutex<State> = Mutex::new(State {
    plan: None,
    seen: 0,
    struck: 0,
    record: None,
    room: None,
    is_quota: false,
    sizes: [0; 4],
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts from now on, and strikes as planned.
pub(crate) fn arm(plan: Plan) {
    let mut state = state();
    (state.plan, state.seen, state.struck) = (Some(plan), 0, 0);
}

/// Strikes no more. Answers how many calls were counted, and how often it has struck.
pub(crate) fn disarm() -> (u64, u64) {
    let mut state = state();
    state.plan = None;
    (state.seen, state.struck)
}

/// Writes down from now on what changes.
pub(crate) fn record() {
    state().record = Some(Vec::new());
}

/// What was written down since.
pub(crate) fn recorded() -> Vec<Entry> {
    state().record.take().unwrap_or_default()
}

pub(crate) fn note(entry: Entry) {
    if let Some(record) = &mut state().record {
        record.push(entry);
    }
}

/// Gives all files together no more than so many bytes.
pub(crate) fn limit(room: Option<u64>) {
    state().room = room;
}

/// As [`limit`], by a quota.
pub(crate) fn limit_by_quota(room: Option<u64>) {
    let mut state = state();
    (state.room, state.is_quota) = (room, true);
}

/// Whether this call is struck, and how.
fn struck_now(call: Call) -> Option<Blow> {
    let mut state = state();
    let plan = state.plan.filter(|plan| plan.calls & call as u32 != 0)?;
    state.seen += 1;
    let now = state.seen == plan.at || (plan.for_ever && plan.at > 0 && state.seen > plan.at);
    if !now {
        return None;
    }
    state.struck += 1;
    Some(plan.blow)
}

/// Whether this call fails, and with which code of SQLite.
fn strikes(call: Call) -> Option<c_int> {
    Some(match (struck_now(call)?, call) {
        (Blow::Kill, _) => die(),
        (_, Call::Open) => ffi::SQLITE_CANTOPEN,
        (_, Call::Delete) => ffi::SQLITE_IOERR_DELETE,
        (_, Call::Read) => ffi::SQLITE_IOERR_READ,
        (Blow::Full, Call::Write) => ffi::SQLITE_FULL,
        (Blow::Io, Call::Write) => ffi::SQLITE_IOERR_WRITE,
        (Blow::Quota, Call::Write) => over_quota(),
        (_, Call::Truncate) => ffi::SQLITE_IOERR_TRUNCATE,
        (_, Call::Sync) => ffi::SQLITE_IOERR_FSYNC,
        (_, Call::Size) => ffi::SQLITE_IOERR_FSTAT,
        (Blow::Full | Blow::Quota, Call::Map) => ffi::SQLITE_IOERR_SHMSIZE,
        (Blow::Io, Call::Map) => ffi::SQLITE_IOERR_SHMMAP,
        (_, Call::Lock | Call::Barrier | Call::Transfer | Call::Alter) => ffi::SQLITE_IOERR_LOCK,
        (Blow::Interrupted | Blow::Short | Blow::ReadOnly, _) => {
            unreachable!("this happens beneath SQLite's own VFS")
        }
    })
}

/// What SQLite makes of `EDQUOT`: an input or output error, unlike `ENOSPC`.
fn over_quota() -> c_int {
    // SAFETY: the place of this thread's own error number.
    unsafe { *libc::__errno_location() = libc::EDQUOT };
    ffi::SQLITE_IOERR_WRITE
}

/// What a write answers for which there is no room.
fn no_room() -> c_int {
    if state().is_quota { over_quota() } else { ffi::SQLITE_FULL }
}

/// Whether `which` may grow up to `bytes`.
fn has_room(which: Which, bytes: u64) -> bool {
    let mut state = state();
    let own = state.sizes[which as usize];
    let all: u64 = state.sizes.iter().sum();
    let wanted = all - own + own.max(bytes);
    let fits = state.room.is_none_or(|room| wanted <= room || own >= bytes);
    if fits {
        state.sizes[which as usize] = own.max(bytes);
    }
    fits
}

/// The file has now so many bytes.
fn has_size(which: Which, bytes: u64) {
    state().sizes[which as usize] = bytes;
}

/// The VFS of the system.
struct Base(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's own VFS is static and may be used by all threads.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

static BASE: OnceLock<Base> = OnceLock::new();

/// Puts the shim beneath every connection of this process from now on.
pub(crate) fn install() {
    BASE.get_or_init(|| {
        // SAFETY: the default VFS is static. Ours is a copy with another name and size, and is
        // leaked, as it stays registered.
        unsafe {
            let base = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!base.is_null(), "SQLite has no VFS");
            transfer::install(base);
            medium::install(base);
            let mut ours = *base;
            ours.szOsFile += HEAD_BYTES;
            ours.pNext = std::ptr::null_mut();
            ours.zName = c"faults".as_ptr();
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1);
            assert_eq!(code, ffi::SQLITE_OK);
            Base(base)
        }
    });
}

/// Has SQLite draw the same random numbers in each process that calls this before it opens a file,
/// so that the same writes leave the same bytes: those of a log begin with such numbers.
pub(crate) fn repeat_random_numbers() {
    // SAFETY: as in `install`.
    unsafe {
        let base = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!base.is_null(), "SQLite has no VFS");
        let mut ours = *base;
        ours.pNext = std::ptr::null_mut();
        ours.zName = c"repeats".as_ptr();
        ours.xRandomness = Some(repeat);
        let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1);
        assert_eq!(code, ffi::SQLITE_OK);
    }
}

unsafe extern "C" fn repeat(_: *mut ffi::sqlite3_vfs, length: c_int, to: *mut c_char) -> c_int {
    // SAFETY: SQLite gives room for so many bytes.
    unsafe { std::ptr::write_bytes(to, 7, length as usize) };
    length
}

fn base() -> *mut ffi::sqlite3_vfs {
    BASE.get().expect("installed before it is called").0
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let file = file.cast::<File>();
    // SAFETY: SQLite hands over room for `szOsFile` bytes; without methods nothing is closed.
    unsafe { (*file).head.pMethods = std::ptr::null() };
    if let Some(code) = strikes(Call::Open) {
        return code;
    }
    // SAFETY: a name that SQLite gives ends with a zero.
    let is_copy = !name.is_null() && is_copy(unsafe { CStr::from_ptr(name) }.to_bytes());
    let which = match flags {
        _ if is_copy => Which::Other,
        _ if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 => Which::Database,
        _ if flags & ffi::SQLITE_OPEN_WAL != 0 => Which::Log,
        _ if flags & ffi::SQLITE_OPEN_MAIN_JOURNAL != 0 => Which::Journal,
        _ => Which::Other,
    };
    // SAFETY: the system's VFS gets its own handle, its own part of the file behind our head, and
    // the name and places that SQLite gave us.
    unsafe {
        let mut exists = 0;
        if !name.is_null()
            && let Some(access) = (*base()).xAccess
        {
            access(base(), name, ffi::SQLITE_ACCESS_EXISTS, &mut exists);
        }
        let Some(real) = (*base()).xOpen else { return ffi::SQLITE_ERROR };
        let code = real(base(), name, File::inner(file.cast()), flags, out);
        if code == ffi::SQLITE_OK && exists == 0 {
            note(Entry::Created(which));
        }
        File::begin(file, which);
        if code == ffi::SQLITE_OK {
            has_size(which, File::size(file));
        }
        code
    }
}

/// Whether it is the copy of a backup or of a restore, which is no file of the store yet.
fn is_copy(path: &[u8]) -> bool {
    let has = |part: &[u8]| path.windows(part.len()).any(|found| found == part);
    has(b"-restoring") || has(b"-copy")
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, dir: c_int) -> c_int {
    if let Some(code) = strikes(Call::Delete) {
        return code;
    }
    // SAFETY: the name is SQLite's, ends with a zero, and is passed on as it came.
    let (code, path) = unsafe {
        let Some(real) = (*base()).xDelete else { return ffi::SQLITE_ERROR };
        (real(base(), name, dir), CStr::from_ptr(name).to_bytes())
    };
    let which = match path {
        _ if is_copy(path) => Which::Other,
        _ if path.ends_with(b"-wal") => Which::Log,
        _ if path.ends_with(b"-journal") => Which::Journal,
        _ => Which::Other,
    };
    if code == ffi::SQLITE_OK {
        has_size(which, 0);
        note(Entry::Delete { which, durable: dir != 0 });
    }
    code
}

const _: () = assert!(mem::align_of::<File>() <= 8);
