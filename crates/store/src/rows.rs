//! Many rows in one statement, bound as values.
//!
//! `json_rows!` is the plainest way and good enough nearly everywhere; but reading twenty columns out
//! of JSON costs as much as inserting them. The ledger's rows, two per call, are bound instead. The
//! text of a statement depends on its number of rows, so rows go in chunks of powers of two: a
//! handful of texts in all, each prepared once per connection.

use std::sync::{Arc, OnceLock};

use crate::dialect::{Composed, Dialect, composed};

/// 64 rows of 20 columns stay far below either driver's limit of parameters.
const CHUNKS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// `verb` and `before`, then `($1, $2, …), (…)` for as many rows as there are, then `after`.
///
/// For SQLite the parameters have no numbers: to it `$1` is a name, and finding the names of so many
/// costs more than inserting the rows. Neither `before` nor `after` may have parameters of its own.
/// And a row that breaks a constraint fails the statement without undoing the rows before it (`OR
/// FAIL`): being able to undo them cost a tenth, and our transaction is undone as a whole.
pub(crate) struct ManyRows {
    verb: &'static str,
    before: &'static str,
    columns: usize,
    after: &'static str,
    sqlite: Texts,
    postgres: Texts,
}

type Texts = [OnceLock<Arc<str>>; CHUNKS.len()];

impl ManyRows {
    pub const fn new(verb: &'static str, before: &'static str, columns: usize, after: &'static str) -> Self {
        Self {
            verb,
            before,
            columns,
            after,
            sqlite: [const { OnceLock::new() }; CHUNKS.len()],
            postgres: [const { OnceLock::new() }; CHUNKS.len()],
        }
    }

    /// Splits rows into chunks, each with the statement that takes it.
    pub fn statements<'r, T>(&self, dialect: Dialect, rows: &'r [T]) -> impl Iterator<Item = (Composed, &'r [T])> {
        let mut rest = rows;
        std::iter::from_fn(move || {
            let index = CHUNKS.iter().position(|size| *size <= rest.len())?;
            let (chunk, after) = rest.split_at(CHUNKS[index]);
            rest = after;
            Some((self.text(dialect, index), chunk))
        })
    }

    fn text(&self, dialect: Dialect, index: usize) -> Composed {
        let texts = match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        };
        let text = texts[index].get_or_init(|| self.written(dialect, CHUNKS[index]).into());
        composed(Arc::clone(text))
    }

    fn written(&self, dialect: Dialect, rows: usize) -> String {
        let parameter = |number: usize| match dialect {
            Dialect::Sqlite => "?".to_owned(),
            Dialect::Postgres => format!("${number}"),
        };
        let row = |row: usize| {
            let first = row * self.columns + 1;
            let parameters: Vec<_> = (first..first + self.columns).map(parameter).collect();
            format!("({})", parameters.join(", "))
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        let or_fail = match dialect {
            Dialect::Sqlite => " OR FAIL",
            Dialect::Postgres => "",
        };
        format!(
            "{}{or_fail} {}{}{}",
            self.verb,
            self.before,
            rows.join(", "),
            self.after
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_just_one_chunk_and_in_order() {
        let many = ManyRows::new("INSERT", "INTO t VALUES ", 2, "");
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();
            let chunks: Vec<&[usize]> = many
                .statements(Dialect::Sqlite, &rows)
                .map(|(_, chunk)| chunk)
                .collect();
            assert_eq!(chunks.concat(), rows);
            assert!(chunks.iter().all(|chunk| CHUNKS.contains(&chunk.len())));
        }
    }

    #[test]
    fn parameters_are_numbered_through_where_numbers_cost_nothing() {
        let many = ManyRows::new("INSERT", "INTO t VALUES ", 2, " x");
        let postgres = "INSERT INTO t VALUES ($1, $2), ($3, $4) x";
        assert_eq!(many.written(Dialect::Postgres, 2), postgres);
        let sqlite = "INSERT OR FAIL INTO t VALUES (?, ?), (?, ?) x";
        assert_eq!(many.written(Dialect::Sqlite, 2), sqlite);
    }
}
