//! A quota of files that is used up, by the system itself: also for calls that are not SQLite's.

use libc::{
    BPF_ABS, BPF_JA, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_JUMP, BPF_K, BPF_LD, BPF_RET, BPF_STMT,
    BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter, sock_fprog,
};

/// Where `seccomp_data` has the number of the call, and the flags of each that opens.
const NUMBER: u32 = 0;
const FLAGS_OF_OPEN: u32 = 16 + 8;
const FLAGS_OF_OPENAT: u32 = 16 + 2 * 8;

/// Newer architectures have no such call.
#[cfg(target_arch = "x86_64")]
const OPEN: u32 = libc::SYS_open as u32;
#[cfg(not(target_arch = "x86_64"))]
const OPEN: u32 = u32::MAX;

/// From now on every call of this process that would create a file fails with `EDQUOT`. Cannot be
/// taken back, so only a child calls it.
pub(crate) fn refuse_new_files() {
    // `O_TMPFILE` has the bit of `O_DIRECTORY` too, with which an open file is only looked at.
    let creates = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;
    let [load, equal, set] = [BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JSET];
    let (load, equal, set) = (load as u16, (equal | BPF_K) as u16, (set | BPF_K) as u16);
    let (jump, answer) = ((BPF_JMP | BPF_JA) as u16, (BPF_RET | BPF_K) as u16);
    // SAFETY: these only put their arguments into a `sock_filter`.
    let mut program: [sock_filter; 10] = unsafe {
        [
            BPF_STMT(load, NUMBER),
            BPF_JUMP(equal, libc::SYS_openat as u32, 2, 0),
            BPF_JUMP(equal, OPEN, 3, 0),
            BPF_STMT(answer, SECCOMP_RET_ALLOW),
            BPF_STMT(load, FLAGS_OF_OPENAT),
            BPF_STMT(jump, 1),
            BPF_STMT(load, FLAGS_OF_OPEN),
            BPF_JUMP(set, creates, 0, 1),
            BPF_STMT(answer, SECCOMP_RET_ERRNO | libc::EDQUOT as u32),
            BPF_STMT(answer, SECCOMP_RET_ALLOW),
        ]
    };
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the system copies the program before the calls return.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0, "no filter of calls");
        let set = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program);
        assert_eq!(set, 0, "no filter of calls");
    }
}
