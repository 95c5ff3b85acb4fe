//! Pages of a list, by key and not by offset: rows that are added or deleted meanwhile shift no
//! other row.

use std::iter;

use crate::error::{Error, Result};
use crate::value::limits::{PAGE_DEFAULT_ROWS, PAGE_MAX_ROWS};

/// One page of a list: the number of rows, and the id after which it begins.
///
/// The next page begins after the last id of this one; a page with fewer rows than its limit is
/// the last. The limit is 1 to 500 rows; a list call with another limit fails with
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid). The default is the first 100 rows.
///
/// ```
/// use gatepost::directory::UserFilter;
/// use gatepost::{NewUser, Options, Page, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// for name in ["ada", "ben", "cai"] {
///     store.users().create(NewUser::person(name))?;
/// }
/// let first = store.users().list(&UserFilter::new(), Page::first(2))?;
/// let second = store.users().list(&UserFilter::new(), Page::after(first[1].id, 2))?;
/// assert_eq!((first.len(), second.len()), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("pagination", "cursor", "offset"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    after: Option<Id>,
    limit: u32,
}

impl<Id: Copy> Page<Id> {
    /// The first `limit` rows, 1 to 500.
    ///
    /// ```
    /// use gatepost::{Page, UserId};
    ///
    /// assert_eq!(Page::<UserId>::first(100), Page::default());
    /// ```
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The `limit` rows, 1 to 500, that follow the row of `id`. That row need not exist any more.
    ///
    /// ```
    /// use gatepost::{Page, UserId};
    ///
    /// let last: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
    /// assert_ne!(Page::after(last, 100), Page::first(100));
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    #[must_use]
    pub const fn after(id: Id, limit: u32) -> Self {
        Self { after: Some(id), limit }
    }

    /// The id after which the page begins.
    pub(crate) const fn after_id(&self) -> Option<Id> {
        self.after
    }

    /// The number of rows; `Invalid` if it is not 1 to 500.
    pub(crate) fn limit(&self) -> Result<i64> {
        if self.limit == 0 || self.limit > PAGE_MAX_ROWS {
            return Err(Error::invalid("the limit of a Page is not 1 to 500 rows"));
        }
        Ok(i64::from(self.limit))
    }
}

impl<Id> Page<Id> {
    /// The longest page after the row of `after`; the first page if `after` is `None`.
    pub(crate) const fn longest(after: Option<Id>) -> Self {
        Self { after, limit: PAGE_MAX_ROWS }
    }
}

/// All rows of a list, one after the other: `list` reads the longest page after an id, and `id`
/// returns the id of a row. The iterator ends after the first error.
pub(crate) fn rows<T, Id>(
    list: impl Fn(Option<&Id>) -> Result<Vec<T>>,
    id: impl Fn(&T) -> Id,
) -> impl Iterator<Item = Result<T>> {
    let (mut page, mut after, mut is_last) = (Vec::new().into_iter(), None, false);
    iter::from_fn(move || {
        if page.len() == 0 && !is_last {
            let read = list(after.as_ref());
            let full = read.as_ref().is_ok_and(|rows| rows.len() >= PAGE_MAX_ROWS as usize);
            is_last = !full;
            match read {
                Ok(rows) => {
                    after = rows.last().map(&id);
                    page = rows.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
        page.next().map(Ok)
    })
}

impl<Id: Copy> Default for Page<Id> {
    fn default() -> Self {
        Self::first(PAGE_DEFAULT_ROWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_1_to_500() {
        for (limit, good) in [(0, false), (1, true), (500, true), (501, false), (u32::MAX, false)]
        {
            assert_eq!(Page::<u8>::first(limit).limit().is_ok(), good, "{limit}");
        }
        assert_eq!(Page::after(7_u8, 1).after_id(), Some(7));
        assert_eq!(Page::<u8>::default().limit().unwrap(), 100);
    }

    /// Reads a list of the numbers from 1 to `last`, which counts its pages and fails at the
    /// third.
    #[track_caller]
    fn check(last: u32, expect: usize, expected_pages: usize, fails: bool) {
        let pages = std::cell::Cell::new(0);
        let list = |after: Option<&u32>| {
            pages.set(pages.get() + 1);
            if pages.get() == 3 {
                return Err(Error::invalid("for the test"));
            }
            Ok((after.copied().unwrap_or(0) + 1..=last).take(500).collect())
        };
        let read: Vec<_> = rows(list, |row| *row).collect();
        let good: Vec<u32> = read.iter().map_while(|row| row.as_ref().ok().copied()).collect();
        assert!(good.iter().copied().eq(1..=u32::try_from(expect).unwrap()), "{last}");
        assert_eq!((read.len() - good.len(), pages.get()), (usize::from(fails), expected_pages));
    }

    #[test]
    fn rows_are_read_page_by_page_to_the_last_or_the_first_error() {
        check(0, 0, 1, false);
        check(499, 499, 1, false);
        check(500, 500, 2, false);
        check(501, 501, 2, false);
        check(1_000, 1_000, 3, true);
        check(2_000, 1_000, 3, true);
    }
}
