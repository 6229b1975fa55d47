//! The few places where the two databases must part, each as a pair side by side.

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
