-- SQLite alone uses this table: what commits have made durable and what has not been filed in its own
-- tables yet, one row per commit (ADR 7). PostgreSQL logs rows, not pages, and needs none of it.
--
-- Each row is one commit: its entry of the audit chain, if it had acts, and what it brought. A row goes
-- when all of it has been filed.
CREATE TABLE journal (
    seq       INTEGER PRIMARY KEY,
    chain_id  TEXT,
    entry_seq BIGINT,
    at        BIGINT,
    prev_hash BYTEA,
    hash      BYTEA,
    acts      TEXT,
    body      TEXT    NOT NULL
);
