//! Lists for whoever is bound to some products: each product's page, merged into one.

use std::cmp::Ordering;

use ostler_core::caller::ProductReach;
use ostler_core::id::ProductId;
use ostler_store::Listed;

use super::Desk;

impl Desk<'_> {
    /// For which products a list has to be asked, `None` for all at once; for none, where the one
    /// asked for is out of reach: it lists nothing, as one that does not exist.
    pub(super) fn lists_to_ask(&self, product_id: Option<ProductId>) -> Vec<Option<ProductId>> {
        match (product_id, self.reach) {
            (Some(product_id), reach) if !reach.covers(product_id) => Vec::new(),
            (Some(_), _) | (None, ProductReach::All) => vec![product_id],
            (None, ProductReach::Only(reached)) => reached.iter().copied().map(Some).collect(),
        }
    }
}

/// Each page holds the first of its own list, so the first of all are among them.
pub(super) fn merged<T>(pages: Vec<Listed<T>>, limit: u32, order: impl Fn(&T, &T) -> Ordering) -> Listed<T> {
    let limit = limit.max(1) as usize;
    let more_behind = pages.iter().any(|page| page.more);
    let mut items: Vec<T> = pages.into_iter().flat_map(|page| page.items).collect();
    items.sort_by(order);
    let more = more_behind || items.len() > limit;
    items.truncate(limit);
    Listed { items, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[u8], more: bool) -> Listed<u8> {
        Listed {
            items: items.to_vec(),
            more,
        }
    }

    #[test]
    fn the_first_of_all_pages_come_first() {
        let listed = merged(vec![page(&[1, 4], true), page(&[2, 3], false)], 2, u8::cmp);
        assert_eq!(listed, page(&[1, 2], true));
        let listed = merged(vec![page(&[4], false), page(&[2], false), page(&[], false)], 2, u8::cmp);
        assert_eq!(listed, page(&[2, 4], false));
    }
}
