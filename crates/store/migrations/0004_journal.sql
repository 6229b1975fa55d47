-- SQLite alone uses this table: what commits have made durable and what has not been filed in its own
-- tables yet, one row per commit (ADR 7). PostgreSQL logs rows, not pages, and needs none of it.
CREATE TABLE journal (
    seq  INTEGER PRIMARY KEY,
    body TEXT    NOT NULL
);
