//! Lists are paged by key and have a limit.

/// The most that one page may hold.
pub const LIMIT_MAX: u32 = 500;

/// What comes after `after`, in the list's own order; from its beginning if `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    pub after: Option<K>,
    pub limit: u32,
}

impl<K> Page<K> {
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    pub const fn after(key: K, limit: u32) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// One more row than the page holds tells whether there is another page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit.clamp(1, LIMIT_MAX)) + 1
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// Whether something follows the last item.
    pub more: bool,
}

impl<T> Listed<T> {
    pub(crate) fn cut<K>(mut items: Vec<T>, page: &Page<K>) -> Self {
        let limit = usize::try_from(page.rows() - 1).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}
