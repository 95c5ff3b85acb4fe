//! A read-only medium, beneath SQLite's own VFS.
//!
//! It behaves like a file system after an error: open files stay open and can be read, and every
//! change is refused with `EROFS`. SQLite handles that as on a real medium: it opens a file for
//! reading if it may not write it. Memory that is shared through a file is written as before.

use std::ffi::{CStr, c_char, c_int};
use std::mem;
use std::sync::OnceLock;

use rusqlite::ffi;

use super::{Call, struck_now};

type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
type Cut = unsafe extern "C" fn(c_int, libc::off_t) -> c_int;
type Unlink = unsafe extern "C" fn(*const c_char) -> c_int;
type Pointer = ffi::sqlite3_syscall_ptr;

static OPEN: OnceLock<Open> = OnceLock::new();
static CUT: OnceLock<Cut> = OnceLock::new();
static UNLINK: OnceLock<Unlink> = OnceLock::new();

/// Puts ours in the place of the calls by which SQLite opens, cuts back and deletes; the calls
/// by which it writes are in `transfer`.
///
/// # Safety
/// `base` is SQLite's own VFS, and no file is open.
pub(super) unsafe fn install(base: *mut ffi::sqlite3_vfs) {
    // SAFETY: the names are SQLite's, and the functions of these names have these types.
    unsafe {
        let (Some(get), Some(set)) = ((*base).xGetSystemCall, (*base).xSetSystemCall) else {
            panic!("SQLite's calls of the system cannot be replaced");
        };
        let of = |name: &CStr| get(base, name.as_ptr()).expect("a call of every Unix");
        // Built with it, it would let files grow by this as well.
        assert!(get(base, c"fallocate".as_ptr()).is_none(), "SQLite lets files grow by fallocate");
        OPEN.get_or_init(|| mem::transmute(of(c"open")));
        CUT.get_or_init(|| mem::transmute(of(c"ftruncate")));
        UNLINK.get_or_init(|| mem::transmute(of(c"unlink")));
        let ours: [(_, Pointer); 3] = [
            (c"open", mem::transmute::<Open, Pointer>(open)),
            (c"ftruncate", mem::transmute::<Cut, Pointer>(cut)),
            (c"unlink", mem::transmute::<Unlink, Pointer>(unlink)),
        ];
        for (name, ours) in ours {
            assert_eq!(set(base, name.as_ptr(), ours), ffi::SQLITE_OK, "{name:?}");
        }
    }
}

/// Counts a call that would change something, and says whether the medium refuses it; then the
/// error number of this thread is set.
pub(super) fn refuses() -> bool {
    let refuses = struck_now(Call::Alter).is_some();
    if refuses {
        // SAFETY: the place of this thread's own error number.
        unsafe { *libc::__errno_location() = libc::EROFS };
    }
    refuses
}

unsafe extern "C" fn open(name: *const c_char, flags: c_int, mode: c_int) -> c_int {
    match OPEN.get() {
        // SAFETY: the system's, with what SQLite has given.
        Some(real) if flags & libc::O_ACCMODE == libc::O_RDONLY || !refuses() => unsafe {
            real(name, flags, mode)
        },
        _ => -1,
    }
}

unsafe extern "C" fn cut(file: c_int, bytes: libc::off_t) -> c_int {
    match CUT.get() {
        // SAFETY: as above.
        Some(real) if !refuses() => unsafe { real(file, bytes) },
        _ => -1,
    }
}

unsafe extern "C" fn unlink(name: *const c_char) -> c_int {
    match UNLINK.get() {
        // SAFETY: as above.
        Some(real) if !refuses() => unsafe { real(name) },
        _ => -1,
    }
}
