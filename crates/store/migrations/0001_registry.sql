-- The registry: who and what there is, who may use what, and the record of every act.
--
-- Plain types only, so that both databases read one text. BYTEA is no word of SQLite's, and none is
-- needed: it stores bytes as bytes whatever the column is called. Times are milliseconds since 1970;
-- lists and contracts are JSON in TEXT; every secret is sealed or a digest.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE product (
    product_id       TEXT   PRIMARY KEY,
    slug             TEXT   NOT NULL UNIQUE,
    version          BIGINT NOT NULL,
    registration_key BYTEA  NOT NULL,
    created_at       BIGINT NOT NULL
);

-- What a product declares, every version of it: an apply or a revert adds one.
CREATE TABLE product_version (
    product_id TEXT   NOT NULL REFERENCES product (product_id),
    version    BIGINT NOT NULL,
    file       TEXT   NOT NULL,
    applied_at BIGINT NOT NULL,
    applied_by TEXT   NOT NULL,
    PRIMARY KEY (product_id, version)
);

-- Without a `client_id` the secret is a token that is used as it is.
CREATE TABLE cloud_connection (
    product_id    TEXT   PRIMARY KEY REFERENCES product (product_id),
    kind          TEXT   NOT NULL,
    base_url      TEXT   NOT NULL,
    cloud_product TEXT   NOT NULL,
    client_id     TEXT,
    secret        BYTEA  NOT NULL,
    changed_at    BIGINT NOT NULL
);

-- Two live at once while the hook is being changed over.
CREATE TABLE ingest_secret (
    digest     BYTEA  PRIMARY KEY,
    product_id TEXT   NOT NULL REFERENCES product (product_id),
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at    BIGINT
);
CREATE INDEX ingest_secret_by_product ON ingest_secret (product_id);

-- A device of the cloud is one device here, whatever product it is in: two rows would be two owners.
CREATE TABLE device (
    device_id         TEXT   PRIMARY KEY,
    product_id        TEXT   NOT NULL REFERENCES product (product_id),
    cloud_device_id   TEXT   NOT NULL UNIQUE,
    name              TEXT,
    notes             TEXT,
    time_zone         TEXT,
    credential_digest BYTEA,
    created_at        BIGINT NOT NULL,
    imported_at       BIGINT,
    registered_at     BIGINT,
    quarantined_at    BIGINT
);
CREATE INDEX device_by_product ON device (product_id, device_id);

-- Apart from the device, for every event of it writes here.
CREATE TABLE device_presence (
    device_id     TEXT   PRIMARY KEY REFERENCES device (device_id),
    state         TEXT   NOT NULL,
    state_at      BIGINT NOT NULL,
    last_heard_at BIGINT
);

-- `email` is folded. It is null once the account is erased; null is never equal to null.
CREATE TABLE customer (
    customer_id       TEXT   PRIMARY KEY,
    email             TEXT   UNIQUE,
    email_verified_at BIGINT,
    name              TEXT,
    password_hash     TEXT,
    created_at        BIGINT NOT NULL,
    locked_at         BIGINT,
    closed_at         BIGINT
);

CREATE TABLE customer_product (
    customer_id TEXT NOT NULL REFERENCES customer (customer_id),
    product_id  TEXT NOT NULL REFERENCES product (product_id),
    PRIMARY KEY (customer_id, product_id)
);
CREATE INDEX customer_product_by_product ON customer_product (product_id, customer_id);

CREATE TABLE client (
    client_id      TEXT   PRIMARY KEY,
    name           TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    secret_digest  BYTEA,
    flows          TEXT   NOT NULL,
    redirect_uris  TEXT   NOT NULL,
    scopes         TEXT   NOT NULL,
    default_scopes TEXT   NOT NULL,
    refresh_policy TEXT   NOT NULL,
    cors_origins   TEXT   NOT NULL,
    products       TEXT,
    created_at     BIGINT NOT NULL,
    ended_at       BIGINT
);

CREATE TABLE staff (
    staff_id      TEXT   PRIMARY KEY,
    email         TEXT   NOT NULL UNIQUE,
    name          TEXT,
    password_hash TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    products      TEXT,
    created_at    BIGINT NOT NULL,
    ended_at      BIGINT
);

-- Which version of a grant counts. `closed_at` is set when it was ended, so that it no longer stands
-- in anybody's way; that its time has run out is judged by comparing times, never by this.
CREATE TABLE device_grant (
    grant_id    TEXT   PRIMARY KEY,
    customer_id TEXT   NOT NULL REFERENCES customer (customer_id),
    device_id   TEXT   NOT NULL REFERENCES device (device_id),
    source      TEXT   NOT NULL,
    parent_id   TEXT   REFERENCES device_grant (grant_id),
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    closed_at   BIGINT
);
CREATE INDEX device_grant_by_customer ON device_grant (customer_id, device_id);
CREATE INDEX device_grant_by_device ON device_grant (device_id);
CREATE UNIQUE INDEX one_owner_per_device ON device_grant (device_id)
    WHERE source = 'owner' AND closed_at IS NULL;

-- Each version as it was said. Never updated, never deleted.
CREATE TABLE grant_version (
    grant_id     TEXT   NOT NULL REFERENCES device_grant (grant_id),
    version      BIGINT NOT NULL,
    functions    TEXT,
    variables    TEXT,
    keys         TEXT,
    history_from BIGINT NOT NULL,
    history_to   BIGINT NOT NULL,
    starts_at    BIGINT NOT NULL,
    ends_at      BIGINT,
    changed_at   BIGINT NOT NULL,
    changed_by   TEXT   NOT NULL,
    reason       TEXT,
    PRIMARY KEY (grant_id, version)
);

CREATE TABLE audit_chain (
    chain_id   TEXT   PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE audit_entry (
    chain_id  TEXT   NOT NULL REFERENCES audit_chain (chain_id),
    seq       BIGINT NOT NULL /* sqlite: INTEGER PRIMARY KEY */,
    at        BIGINT NOT NULL,
    prev_hash BYTEA  NOT NULL,
    hash      BYTEA  NOT NULL,
    body      TEXT   NOT NULL
);
-- Makes a fork impossible: two entries cannot follow the same one. On SQLite there is one chain, and its
-- numbers alone are the key.
CREATE UNIQUE INDEX audit_entry_by_chain ON audit_entry (chain_id, seq);
CREATE INDEX audit_entry_by_time ON audit_entry (at);

-- What may have to be forgotten, beside the chain; an entry holds only its salted digest.
CREATE TABLE audit_detail (
    chain_id TEXT   NOT NULL,
    seq      BIGINT NOT NULL,
    position BIGINT NOT NULL,
    subject  TEXT,
    salt     TEXT   NOT NULL,
    detail   TEXT   NOT NULL,
    PRIMARY KEY (chain_id, seq, position)
);
CREATE INDEX audit_detail_by_subject ON audit_detail (subject);
