//! The atomics and locks of the library, as loom has them.
//!
//! Loom keeps a history of each atomic, and there are a hundred thousand in a cache: one becomes
//! known to loom when it is first touched. A scene touches what its threads share before it spawns
//! them. If it forgets one, loom fails it for a "causality violation": it never passes for that.

use std::sync::OnceLock;

pub(crate) use loom::sync::atomic::{Ordering, fence};

loom::lazy_static! {
    static ref POINT: loom::sync::atomic::AtomicBool = loom::sync::atomic::AtomicBool::new(false);
}

/// A point at which another thread may go on.
///
/// Loom looks for such points by itself, but it remembers only the last access of an atomic. The
/// writer of a sequence lock reads the count before it writes it, so that loom forgets the reader's
/// access and never tries the write before it. So each operation first writes to one place that
/// every thread writes to and none reads, which orders nothing.
fn point() {
    POINT.store(true, Ordering::Relaxed);
}

macro_rules! atomics {
    ($($name:ident $value:ty)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name {
            first: $value,
            touched: OnceLock<loom::sync::atomic::$name>,
        }

        impl $name {
            pub(crate) const fn new(first: $value) -> Self {
                Self { first, touched: OnceLock::new() }
            }

            fn touch(&self) -> &loom::sync::atomic::$name {
                point();
                self.touched.get_or_init(|| loom::sync::atomic::$name::new(self.first))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.touch().load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.touch().store(value, order);
            }

            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.touch().fetch_add(value, order)
            }

            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                self.touch().fetch_and(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.touch().fetch_or(value, order)
            }

            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.touch().fetch_max(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.touch().compare_exchange(from, to, success, failure)
            }
        }
    )*};
}

atomics! { AtomicI64 i64  AtomicU64 u64  AtomicUsize usize }

/// Loom's lock, with the calls of the library's.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        point();
        self.0.lock().expect("loom poisons no lock")
    }

    pub(crate) fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
        point();
        self.0.try_lock().ok()
    }
}
