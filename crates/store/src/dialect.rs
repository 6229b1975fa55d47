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

/// What a migration says, and how SQLite has to be told. A table of short rows has one tree there instead
/// of two; a number is SQLite's own for the row, if it is an `INTEGER`; and some indices would only cost there.
const FOR_SQLITE: [(&str, &str); 6] = [
    ("/* sqlite: WITHOUT ROWID */", "WITHOUT ROWID"),
    ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "INTEGER PRIMARY KEY"),
    (
        "BIGINT NOT NULL /* sqlite: INTEGER PRIMARY KEY */",
        "INTEGER PRIMARY KEY",
    ),
    ("CREATE INDEX command_by_device ON command (device_id, command_id);", ""),
    (
        "CREATE UNIQUE INDEX audit_entry_by_chain ON audit_entry (chain_id, seq);",
        "",
    ),
    ("CREATE INDEX audit_entry_by_time ON audit_entry (at);", ""),
];

/// The text of a migration, which is written as PostgreSQL reads it.
pub(crate) fn schema(text: &str, dialect: Dialect) -> Composed {
    composed(match dialect {
        Dialect::Sqlite => FOR_SQLITE
            .iter()
            .fold(text.to_owned(), |text, (said, meant)| text.replace(said, meant)),
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
    use crate::migrate::MIGRATIONS;

    #[test]
    fn a_migration_says_some_things_otherwise_to_sqlite() {
        let text = "CREATE TABLE t (k TEXT PRIMARY KEY) /* sqlite: WITHOUT ROWID */;
            CREATE TABLE n (k BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
            CREATE INDEX command_by_device ON command (device_id, command_id);";
        assert_eq!(schema(text, Dialect::Postgres).0.as_ref(), text);
        let sqlite = "CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE n (k INTEGER PRIMARY KEY);
            ";
        assert_eq!(schema(text, Dialect::Sqlite).0.as_ref(), sqlite);
    }

    /// A migration that is worded otherwise would silently give SQLite what PostgreSQL has.
    #[test]
    fn whatever_is_said_otherwise_stands_in_a_migration() {
        for (said, _) in FOR_SQLITE {
            assert!(
                MIGRATIONS.iter().any(|migration| migration.sql.contains(said)),
                "{said}"
            );
        }
    }
}
