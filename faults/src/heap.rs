//! The memory of SQLite, of which the Nth allocation fails.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::ffi::{self, sqlite3_mem_methods};

/// SQLite's own allocator.
struct Real(sqlite3_mem_methods);

// SAFETY: functions without a state of their own.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();
static SEEN: AtomicU64 = AtomicU64::new(0);
static STRUCK: AtomicU64 = AtomicU64::new(0);
/// Which one fails; 0 for none.
static AT: AtomicU64 = AtomicU64::new(0);
static FOR_EVER: AtomicBool = AtomicBool::new(false);

/// Puts this beneath SQLite, which must not have been used in this process.
pub(crate) fn install() {
    // SAFETY: SQLite writes its own methods into the place it is given, and copies ours; both are
    // complete, and no other thread is there yet.
    unsafe {
        let mut real: sqlite3_mem_methods = std::mem::zeroed();
        let got = ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut real);
        assert_eq!(got, ffi::SQLITE_OK);
        let mut ours = real;
        ours.xMalloc = Some(allocate);
        ours.xRealloc = Some(reallocate);
        assert!(REAL.set(Real(real)).is_ok(), "installed twice");
        let set = ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw mut ours);
        assert_eq!(set, ffi::SQLITE_OK);
    }
}

/// Counts from now on; that allocation fails, and for ever if so.
pub(crate) fn arm(at: u64, for_ever: bool) {
    SEEN.store(0, Ordering::SeqCst);
    STRUCK.store(0, Ordering::SeqCst);
    FOR_EVER.store(for_ever, Ordering::SeqCst);
    AT.store(at, Ordering::SeqCst);
}

/// Fails no more. Answers how many allocations there were, and how many of them failed.
pub(crate) fn disarm() -> (u64, u64) {
    AT.store(0, Ordering::SeqCst);
    (SEEN.load(Ordering::SeqCst), STRUCK.load(Ordering::SeqCst))
}

fn fails() -> bool {
    let seen = SEEN.fetch_add(1, Ordering::SeqCst) + 1;
    let at = AT.load(Ordering::SeqCst);
    let fails = at > 0 && (seen == at || (seen > at && FOR_EVER.load(Ordering::SeqCst)));
    STRUCK.fetch_add(u64::from(fails), Ordering::SeqCst);
    fails
}

unsafe extern "C" fn allocate(bytes: c_int) -> *mut c_void {
    match REAL.get().and_then(|real| real.0.xMalloc) {
        // SAFETY: SQLite's own, with what SQLite asks for.
        Some(real) if !fails() => unsafe { real(bytes) },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn reallocate(from: *mut c_void, bytes: c_int) -> *mut c_void {
    match REAL.get().and_then(|real| real.0.xRealloc) {
        // SAFETY: as above.
        Some(real) if !fails() => unsafe { real(from, bytes) },
        _ => std::ptr::null_mut(),
    }
}
