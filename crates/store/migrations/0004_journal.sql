-- SQLite alone uses this table: what commits have made durable and what has not been filed in its own
-- tables yet, one row per commit (ADR 7). PostgreSQL logs rows, not pages, and needs none of it.
--
-- A row goes when all of it has been filed.
CREATE TABLE journal (
    seq  INTEGER PRIMARY KEY,
    body BYTEA   NOT NULL
);
