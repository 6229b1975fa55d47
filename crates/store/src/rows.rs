//! Many rows in one statement, bound as values.
//!
//! `json_rows!` is the plainest way and good enough nearly everywhere; but reading twenty columns out
//! of JSON costs as much as inserting them. The ledger's rows, two per call, are bound instead. The
//! text of a statement depends on its number of rows, so rows go in chunks of powers of two: a
//! handful of texts in all, each prepared once per connection.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

/// 64 rows of 20 columns stay far below either driver's limit of parameters.
const CHUNKS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// `before`, then `($1, $2, …), (…)` for as many rows as there are, then `after`.
pub(crate) struct ManyRows {
    before: &'static str,
    columns: usize,
    after: &'static str,
    texts: [OnceLock<Arc<str>>; CHUNKS.len()],
}

impl ManyRows {
    pub const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        Self {
            before,
            columns,
            after,
            texts: [const { OnceLock::new() }; CHUNKS.len()],
        }
    }

    /// Splits rows into chunks, each with the statement that takes it.
    pub fn statements<'r, T>(&self, rows: &'r [T]) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, &'r [T])> {
        let mut rest = rows;
        std::iter::from_fn(move || {
            let index = CHUNKS.iter().position(|size| *size <= rest.len())?;
            let (chunk, after) = rest.split_at(CHUNKS[index]);
            rest = after;
            Some((self.text(index), chunk))
        })
    }

    /// Safe, for it consists of what the program says, and of numbers.
    fn text(&self, index: usize) -> AssertSqlSafe<Arc<str>> {
        let text = self.texts[index].get_or_init(|| self.written(CHUNKS[index]).into());
        AssertSqlSafe(Arc::clone(text))
    }

    fn written(&self, rows: usize) -> String {
        let row = |row: usize| {
            let first = row * self.columns + 1;
            let parameters: Vec<_> = (first..first + self.columns)
                .map(|number| format!("${number}"))
                .collect();
            format!("({})", parameters.join(", "))
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        format!("{}{}{}", self.before, rows.join(", "), self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_just_one_chunk_and_in_order() {
        let many = ManyRows::new("INSERT INTO t VALUES ", 2, "");
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();
            let chunks: Vec<&[usize]> = many.statements(&rows).map(|(_, chunk)| chunk).collect();
            assert_eq!(chunks.concat(), rows);
            assert!(chunks.iter().all(|chunk| CHUNKS.contains(&chunk.len())));
        }
    }

    #[test]
    fn parameters_are_numbered_through() {
        let many = ManyRows::new("VALUES ", 2, " x");
        assert_eq!(many.written(2), "VALUES ($1, $2), ($3, $4) x");
    }
}
