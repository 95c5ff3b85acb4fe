//! Interruptions and short transfers, beneath SQLite's own VFS.
//!
//! They are no errors: SQLite goes on where it was, in its own loops around `pread` and `pwrite`.
//! So they are put where those loops see them. A shim above them could only hand on what SQLite
//! makes of it: a read of the VFS that is short is the end of a file, and filled with zeros.

use std::ffi::{c_int, c_void};
use std::mem;
use std::sync::OnceLock;

use rusqlite::ffi;

use super::{Blow, Call, medium, struck_now};

type Read = unsafe extern "C" fn(c_int, *mut c_void, usize, libc::off_t) -> isize;
type Write = unsafe extern "C" fn(c_int, *const c_void, usize, libc::off_t) -> isize;
type Pointer = ffi::sqlite3_syscall_ptr;

static READ: OnceLock<Read> = OnceLock::new();
static WRITE: OnceLock<Write> = OnceLock::new();

/// Puts ours in the place of the two calls by which SQLite moves bytes.
///
/// # Safety
/// `base` is SQLite's own VFS, and no file is open.
pub(super) unsafe fn install(base: *mut ffi::sqlite3_vfs) {
    // SAFETY: the names are SQLite's, and the functions of these names have these types.
    unsafe {
        let (Some(get), Some(set)) = ((*base).xGetSystemCall, (*base).xSetSystemCall) else {
            panic!("SQLite's calls of the system cannot be replaced");
        };
        // Built with these it would use them instead.
        for other in [c"pread64", c"pwrite64"] {
            assert!(get(base, other.as_ptr()).is_none(), "SQLite moves bytes by {other:?}");
        }
        let of = |name: &std::ffi::CStr| get(base, name.as_ptr()).expect("a call of every Unix");
        READ.get_or_init(|| mem::transmute(of(c"pread")));
        WRITE.get_or_init(|| mem::transmute(of(c"pwrite")));
        let ours: [(_, Pointer); 2] = [
            (c"pread", mem::transmute::<Read, Pointer>(read)),
            (c"pwrite", mem::transmute::<Write, Pointer>(write)),
        ];
        for (name, ours) in ours {
            assert_eq!(set(base, name.as_ptr(), ours), ffi::SQLITE_OK, "{name:?}");
        }
    }
}

/// How many of so many bytes are to be moved; `None` if the call is interrupted instead.
fn allowed(length: usize) -> Option<usize> {
    match struck_now(Call::Transfer) {
        Some(Blow::Interrupted) => {
            // SAFETY: the place of this thread's own error number.
            unsafe { *libc::__errno_location() = libc::EINTR };
            None
        }
        // No byte at all would be the end of the file.
        Some(_) => Some(length.div_ceil(2)),
        None => Some(length),
    }
}

unsafe extern "C" fn read(file: c_int, to: *mut c_void, length: usize, at: libc::off_t) -> isize {
    match (READ.get(), allowed(length)) {
        // SAFETY: the system's, with what SQLite has given or less of it.
        (Some(real), Some(length)) => unsafe { real(file, to, length, at) },
        _ => -1,
    }
}

unsafe extern "C" fn write(
    file: c_int,
    from: *const c_void,
    length: usize,
    at: libc::off_t,
) -> isize {
    if medium::refuses() {
        return -1;
    }
    match (WRITE.get(), allowed(length)) {
        // SAFETY: as above.
        (Some(real), Some(length)) => unsafe { real(file, from, length, at) },
        _ => -1,
    }
}
