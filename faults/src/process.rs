//! Other processes: forked, heard through a pipe, killed, and asked how they ended.
//!
//! A process that forks here has one thread and has never opened a store, so that a child may do
//! both. A child ends by `_exit`: nothing of it is closed or flushed, and what it had to say it has
//! said.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long any child may take before it counts as hanging.
const LONGEST: Duration = Duration::from_secs(120);

/// A forked process, and what it says.
#[derive(Debug)]
pub(crate) struct Child {
    pid: libc::pid_t,
    pipe: File,
    heard: Vec<u8>,
    ended: Option<End>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It ran to its end.
    Well,
    /// It panicked, which it has said on its standard error.
    Panicked,
    /// A signal ended it.
    Signal(i32),
}

/// The pipe from a child to its parent; a line arrives whole, whichever thread writes it.
#[derive(Debug)]
pub(crate) struct Voice(File);

impl Voice {
    pub(crate) fn say(&self, line: impl fmt::Display) {
        let line = format!("{line}\n");
        // A parent that is gone reads nothing.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}

impl Child {
    /// Runs `job` in a child of this process.
    pub(crate) fn fork(job: impl FnOnce(&Voice)) -> Self {
        let mut ends = [0; 2];
        // SAFETY: `pipe` fills the two places it is given.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "no pipe");
        // SAFETY: both descriptors are new and have no other owner.
        let (read, write) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
        // SAFETY: this process has one thread, so that no lock is held by one that is not copied.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "no process");
        if pid == 0 {
            drop(read);
            let voice = Voice(write);
            let code = match catch_unwind(AssertUnwindSafe(|| job(&voice))) {
                Ok(()) => 0,
                Err(_) => 101,
            };
            // SAFETY: ends the process at once; nothing that is still open is touched.
            unsafe { libc::_exit(code) }
        }
        Self { pid, pipe: read, heard: Vec::new(), ended: None }
    }

    /// Its next line, if it says one within `wait`; `None` also once it has ended.
    pub(crate) fn hear(&mut self, wait: Duration) -> Option<String> {
        let until = Instant::now() + wait;
        loop {
            if let Some(at) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=at).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.listen(until.saturating_duration_since(Instant::now())) {
                return None;
            }
        }
    }

    /// Everything that it says until it ends, and how that was.
    pub(crate) fn end(self) -> (Vec<String>, End) {
        self.end_within(LONGEST)
    }

    /// As [`Child::end`], for one that is given so much time.
    pub(crate) fn end_within(mut self, wait: Duration) -> (Vec<String>, End) {
        let until = Instant::now() + wait;
        let mut lines = Vec::new();
        while let Some(line) = self.hear(until.saturating_duration_since(Instant::now())) {
            lines.push(line);
        }
        assert!(Instant::now() < until, "a child hangs");
        (lines, self.wait())
    }

    /// What it says until it ends, which must be well.
    #[track_caller]
    pub(crate) fn end_well(self) -> Vec<String> {
        let (lines, end) = self.end();
        assert_eq!(end, End::Well, "a child failed after it had said {lines:?}");
        lines
    }

    /// Kills it at once, as `kill -9` does, and answers with what it had still said.
    pub(crate) fn kill(mut self) -> (Vec<String>, End) {
        // SAFETY: the process has not been waited for, so its number is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut lines = Vec::new();
        while let Some(line) = self.hear(LONGEST) {
            lines.push(line);
        }
        (lines, self.wait())
    }

    fn wait(&mut self) -> End {
        let mut status = 0;
        // SAFETY: waits for a child of this process that no other code waits for.
        let waited = unsafe { libc::waitpid(self.pid, &mut status, 0) };
        assert_eq!(waited, self.pid, "the child was lost");
        let end = if libc::WIFSIGNALED(status) {
            End::Signal(libc::WTERMSIG(status))
        } else if libc::WEXITSTATUS(status) == 0 {
            End::Well
        } else {
            End::Panicked
        };
        self.ended = Some(end);
        end
    }

    /// Whether anything more was heard within `wait`.
    fn listen(&mut self, wait: Duration) -> bool {
        let mut poll =
            libc::pollfd { fd: self.pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let wait = libc::timespec {
            tv_sec: wait.as_secs().try_into().unwrap(),
            tv_nsec: wait.subsec_nanos().into(),
        };
        // SAFETY: one place, which is given; no mask.
        if unsafe { libc::ppoll(&mut poll, 1, &wait, std::ptr::null()) } <= 0 {
            return false;
        }
        let mut buffer = [0; 8_192];
        let length = self.pipe.read(&mut buffer).unwrap_or(0);
        self.heard.extend_from_slice(&buffer[..length]);
        length > 0
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // SAFETY: as in `kill`.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            let _ = self.wait();
        }
    }
}

/// Kills the calling process, as `kill -9` does.
pub(crate) fn die() -> ! {
    // SAFETY: a signal to this process, which cannot be caught.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("a killed process goes on")
}
