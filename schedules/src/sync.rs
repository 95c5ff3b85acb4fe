//! The atomics and locks of the library, each with a point before it at which another thread may
//! go on.
//!
//! The values themselves are plain: only one thread runs at a time, and a table of a hundred
//! thousand of them costs what it costs in the library.

pub(crate) use std::sync::atomic::Ordering;

use std::sync::atomic;

pub(crate) use shuttle_engine::runtime::thread::switch;

macro_rules! atomics {
    ($($name:ident $value:ty)*) => {$(
        #[derive(Debug, Default)]
        pub(crate) struct $name(atomic::$name);

        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                switch();
                self.0.load(order)
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                switch();
                self.0.store(value, order);
            }

            #[track_caller]
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                switch();
                self.0.fetch_add(value, order)
            }

            #[track_caller]
            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                switch();
                self.0.fetch_sub(value, order)
            }

            #[track_caller]
            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                switch();
                self.0.fetch_and(value, order)
            }

            #[track_caller]
            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                switch();
                self.0.fetch_or(value, order)
            }

            #[track_caller]
            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                switch();
                self.0.fetch_max(value, order)
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                switch();
                self.0.compare_exchange(from, to, success, failure)
            }
        }
    )*};
}

atomics! { AtomicI64 i64  AtomicU64 u64  AtomicU32 u32  AtomicUsize usize }

/// Every operation is in one order anyway.
pub(crate) fn fence(_: Ordering) {
    switch();
}

/// The explorer's lock, with the calls of the library's.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(crate) type MutexGuard<'l, T> = shuttle::sync::MutexGuard<'l, T>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a thread of this scene has failed")
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}
