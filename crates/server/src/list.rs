//! Lists: paged by key, with a limit. A cursor is opaque to clients; to us it is the last id.

use std::str::FromStr;

use ostler_app::devices::{Listed, Page};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 500;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500, example = 100)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListQuery {
    pub fn page<K: FromStr>(&self) -> Result<Page<K>, Problem> {
        page(self.limit, self.cursor.as_deref())
    }
}

/// For lists that have parameters of their own besides these two.
pub fn page<K: FromStr>(limit: Option<u32>, cursor: Option<&str>) -> Result<Page<K>, Problem> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid_parameter("limit", format!("must be 1 to {LIMIT_MAX}")));
    }
    match cursor.map(K::from_str) {
        None => Ok(Page::first(limit)),
        Some(Ok(key)) => Ok(Page::after(key, limit)),
        Some(Err(_)) => Err(Problem::invalid_parameter(
            "cursor",
            "must be the next_cursor of another page",
        )),
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListResponse<T> {
    pub items: Vec<T>,
    /// `null` on the last page.
    pub next_cursor: Option<String>,
}

impl<T> ListResponse<T> {
    /// `key` names the item after which the next page begins.
    pub fn of<'l, I, K: ToString>(listed: &'l Listed<I>, key: impl Fn(&'l I) -> K, shape: impl Fn(&'l I) -> T) -> Self {
        let next_cursor = listed
            .items
            .last()
            .filter(|_| listed.more)
            .map(|last| key(last).to_string());
        Self {
            items: listed.items.iter().map(shape).collect(),
            next_cursor,
        }
    }
}
