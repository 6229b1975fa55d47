//! The few places where the two databases must part, each as a pair side by side.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// One thing said in both dialects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl Pair {
    pub const fn of(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// A statement that was put together, not written down as a whole.
pub(crate) type Composed = AssertSqlSafe<Arc<str>>;

/// Only from what the program says and from numbers: then it is safe.
pub(crate) fn composed(text: impl Into<Arc<str>>) -> Composed {
    AssertSqlSafe(text.into())
}

/// To PostgreSQL a comment.
const ONLY_SQLITE: &str = "/* sqlite: WITHOUT ROWID */";

/// The text of a migration. A table of short rows says `/* sqlite: WITHOUT ROWID */`: SQLite then keeps
/// one tree for it instead of two.
pub(crate) fn schema(text: &str, dialect: Dialect) -> Composed {
    composed(match dialect {
        Dialect::Sqlite => text.replace(ONLY_SQLITE, "WITHOUT ROWID"),
        Dialect::Postgres => text.to_owned(),
    })
}

/// `json_rows!(before, after)`: a statement over many rows that are handed over as one JSON array,
/// the first parameter. Each row is an array of its own: `value->>0` is its first column, as text;
/// numbers are read by `CAST(value->>1 AS BIGINT)`.
macro_rules! json_rows {
    ($before:expr, $after:expr) => {
        $crate::dialect::Pair {
            sqlite: concat!($before, "json_each($1)", $after),
            postgres: concat!($before, "json_array_elements(CAST($1 AS json))", $after),
        }
    };
}

pub(crate) use json_rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_rowid_is_one_for_sqlite_only() {
        let text = "CREATE TABLE t (k TEXT PRIMARY KEY) /* sqlite: WITHOUT ROWID */;";
        assert_eq!(schema(text, Dialect::Postgres).0.as_ref(), text);
        let sqlite = "CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID;";
        assert_eq!(schema(text, Dialect::Sqlite).0.as_ref(), sqlite);
    }
}
