//! Lists are read in pages by key, never by offset: a row that comes or goes shifts nothing.

use crate::error::{Error, Result};
use crate::value::limits::{PAGE_DEFAULT_ROWS, PAGE_MAX_ROWS};

/// One page of a list: how many rows, and after which id.
///
/// The next page begins after the last id of this one; a page with fewer rows than its limit was
/// the last. A limit is 1 to 500 rows; the list that is asked with another one answers
/// [`Reason::Invalid`](crate::Reason::Invalid). The default is the first 100 rows.
///
/// ```
/// use gatepost::{Page, UserId};
///
/// let last_seen: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
/// let first = Page::<UserId>::first(50);
/// let second = Page::after(last_seen, 50);
/// assert_ne!(first, second);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    after: Option<Id>,
    limit: u32,
}

impl<Id: Copy> Page<Id> {
    /// The first `limit` rows.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The `limit` rows that follow the row of that id, which need not exist any more.
    #[must_use]
    pub const fn after(id: Id, limit: u32) -> Self {
        Self { after: Some(id), limit }
    }

    /// The id after which it begins.
    pub(crate) const fn after_id(&self) -> Option<Id> {
        self.after
    }

    /// How many rows, checked.
    pub(crate) fn limit(&self) -> Result<i64> {
        if self.limit == 0 || self.limit > PAGE_MAX_ROWS {
            return Err(Error::invalid("the limit of a page is not 1 to 500 rows"));
        }
        Ok(i64::from(self.limit))
    }
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
}
