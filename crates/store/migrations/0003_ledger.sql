-- The ledger of commands: one row per intent to call a function, written before the call leaves.
--
-- No foreign keys to devices or customers: a refusal is recorded also when the device named in it
-- does not exist, and the record outlives what it speaks of.

-- A row is written for every call, so each index has to earn its keep: lists by product or customer
-- walk the primary key from its young end.
CREATE TABLE command (
    command_id      TEXT   PRIMARY KEY,
    product_id      TEXT,
    device_id       TEXT   NOT NULL,
    customer_id     TEXT,
    client_id       TEXT,
    staff_id        TEXT,
    grant_id        TEXT,
    grant_version   BIGINT,
    function        TEXT   NOT NULL,
    argument        TEXT,
    argument_salt   TEXT,
    rule            TEXT   NOT NULL,
    reason          TEXT,
    idempotency_key TEXT,
    body_digest     TEXT,
    status          TEXT   NOT NULL,
    return_value    BIGINT,
    cause           TEXT,
    created_at      BIGINT NOT NULL,
    sent_at         BIGINT,
    settled_at      BIGINT,
    deadline_at     BIGINT
);
-- Not on SQLite (`dialect.rs`), whose planner has no use for it in a list that may be narrowed by anything,
-- and whose log takes pages: four fifths of those that calls wrote were leaves of this index.
CREATE INDEX command_by_device ON command (device_id, command_id);
-- What a device's event may still confirm.
CREATE INDEX command_unknown ON command (device_id, function, created_at) WHERE status = 'unknown';
CREATE INDEX command_unsettled ON command (deadline_at) WHERE settled_at IS NULL;
-- P6: one key is at most one command. A machine has no customer; null would never be equal to null.
CREATE UNIQUE INDEX one_command_per_key
    ON command (client_id, (COALESCE(customer_id, '')), device_id, function, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- When a function with a cool-down was last let through. The statement that moves it settles races.
CREATE TABLE function_clock (
    device_id      TEXT   NOT NULL,
    function       TEXT   NOT NULL,
    last_called_at BIGINT NOT NULL,
    PRIMARY KEY (device_id, function)
);
