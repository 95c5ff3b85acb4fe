//! The files of the shim: the system's, behind a head that says which one it is.

use std::ffi::{c_int, c_void};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64};

use super::{Call, Entry, Which, has_room, has_size, no_room, note, state, strikes};

/// Calls the same method of the system's file.
macro_rules! real {
    ($file:ident . $method:ident ( $($argument:expr),* )) => {
        // SAFETY: the arguments are those of SQLite; the file has the system's methods, none of
        // which is missing there.
        unsafe {
            let inner = File::inner($file);
            let method = (*(*inner).pMethods).$method.unwrap_unchecked();
            method(inner $(, $argument)*)
        }
    };
}

/// The head before the system's own file.
#[repr(C)]
pub(super) struct File {
    pub(super) head: sqlite3_file,
    which: Which,
}

/// How far behind the head the system's file begins; it may hold pointers.
pub(super) const HEAD_BYTES: c_int = 32;
const _: () = assert!(size_of::<File>() <= HEAD_BYTES as usize);

impl File {
    /// The system's file behind this one.
    ///
    /// # Safety
    /// `file` was made by [`super::open`].
    pub(super) unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
        // SAFETY: behind the head, `szOsFile` has room for the system's.
        unsafe { file.byte_add(HEAD_BYTES as usize) }
    }

    /// Gives the file our methods if the system has opened its own.
    ///
    /// # Safety
    /// As [`File::inner`], and the system's `xOpen` was called.
    pub(super) unsafe fn begin(file: *mut Self, which: Which) {
        // SAFETY: both parts are ours to write to and were initialised.
        unsafe {
            (*file).which = which;
            if !(*Self::inner(file.cast())).pMethods.is_null() {
                (*file).head.pMethods = &METHODS;
            }
        }
    }

    /// How many bytes it has.
    ///
    /// # Safety
    /// As [`File::begin`], which was successful.
    pub(super) unsafe fn size(file: *mut Self) -> u64 {
        let file: *mut sqlite3_file = file.cast();
        let mut bytes = 0;
        real!(file.xFileSize(&mut bytes));
        bytes as u64
    }

    unsafe fn which(file: *mut sqlite3_file) -> Which {
        // SAFETY: every file with our methods was begun by us.
        unsafe { (*file.cast::<Self>()).which }
    }
}

/// Without memory mapping of the database, which is off anyhow.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Answers with the error that is planned for this call.
macro_rules! struck {
    ($call:expr) => {
        if let Some(code) = strikes($call) {
            return code;
        }
    };
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    real!(file.xClose())
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    struck!(Call::Read);
    real!(file.xRead(to, length, at))
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: the file is ours.
    let which = unsafe { File::which(file) };
    if let Some(code) = strikes(Call::Write) {
        let half = length / 2;
        if real!(file.xWrite(from, half, at)) == ffi::SQLITE_OK {
            // SAFETY: SQLite has given that many bytes and more.
            unsafe { written(which, from, half, at) };
        }
        return code;
    }
    if !has_room(which, (at + i64::from(length)) as u64) {
        return no_room();
    }
    let code = real!(file.xWrite(from, length, at));
    if code == ffi::SQLITE_OK {
        // SAFETY: SQLite has given that many bytes.
        unsafe { written(which, from, length, at) };
    }
    code
}

/// # Safety
/// There are `length` bytes at `from`.
unsafe fn written(which: Which, from: *const c_void, length: c_int, at: sqlite3_int64) {
    if state().record.is_none() {
        return;
    }
    // SAFETY: the caller has said so.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length as usize) };
    note(Entry::Write { which, at: at as usize, bytes: bytes.to_vec() });
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, bytes: sqlite3_int64) -> c_int {
    struck!(Call::Truncate);
    let code = real!(file.xTruncate(bytes));
    if code == ffi::SQLITE_OK {
        // SAFETY: the file is ours.
        let which = unsafe { File::which(file) };
        has_size(which, bytes as u64);
        note(Entry::Truncate { which, bytes: bytes as usize });
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    struck!(Call::Sync);
    let code = real!(file.xSync(flags));
    if code == ffi::SQLITE_OK {
        // SAFETY: the file is ours.
        note(Entry::Sync(unsafe { File::which(file) }));
    }
    code
}

unsafe extern "C" fn size(file: *mut sqlite3_file, to: *mut sqlite3_int64) -> c_int {
    struck!(Call::Size);
    real!(file.xFileSize(to))
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    struck!(Call::Lock);
    real!(file.xLock(level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    struck!(Call::Lock);
    real!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved(file: *mut sqlite3_file, to: *mut c_int) -> c_int {
    real!(file.xCheckReservedLock(to))
}

unsafe extern "C" fn control(file: *mut sqlite3_file, what: c_int, with: *mut c_void) -> c_int {
    // Not passed on to the system: a size announced in advance would be room that was never
    // counted.
    if what == ffi::SQLITE_FCNTL_SIZE_HINT && state().room.is_some() {
        return ffi::SQLITE_OK;
    }
    real!(file.xFileControl(what, with))
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    real!(file.xSectorSize())
}

unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    real!(file.xDeviceCharacteristics())
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    length: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    struck!(Call::Map);
    let bytes = (i64::from(region) + 1) * i64::from(length);
    if extend != 0 && !has_room(Which::Other, bytes as u64) {
        return ffi::SQLITE_IOERR_SHMSIZE;
    }
    real!(file.xShmMap(region, length, extend, to))
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    struck!(Call::Lock);
    real!(file.xShmLock(first, count, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // Nothing fails here; it is a moment at which a process can be killed.
    let _ = strikes(Call::Barrier);
    real!(file.xShmBarrier());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    real!(file.xShmUnmap(delete))
}
