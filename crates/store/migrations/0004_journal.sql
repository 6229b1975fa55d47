-- SQLite alone uses this table: what commits have made durable and what has not been filed in its own
-- tables yet, one row per commit (ADR 7). PostgreSQL logs rows, not pages, and needs none of it.
--
-- The columns after `body` are the commit's entry of the audit chain, if it had acts.
CREATE TABLE journal (
    seq       INTEGER PRIMARY KEY,
    body      TEXT    NOT NULL,
    chain_id  TEXT,
    entry_seq BIGINT,
    at        BIGINT,
    prev_hash BYTEA,
    hash      BYTEA,
    acts      TEXT
);
