-- What devices said: raw events, the points read out of them, what was turned away, and for which
-- times nothing was missed.
--
-- No foreign keys to devices: these tables are written for every event, and the ingest has looked
-- the device up already.

-- By which number the tables of events and points call a device. It leads all their keys, and a number
-- there instead of an id is a third fewer pages for what one device says. Given when the device is first
-- heard; never changed, never given to another.
CREATE TABLE history_device (
    device_no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id TEXT   NOT NULL UNIQUE
);

-- The primary key is the event's identity (the digest covers name and data, too), so that a
-- redelivery through whichever door is stored once. `time` is what grants and queries judge.
CREATE TABLE event (
    event_id        TEXT   NOT NULL,
    device_no       BIGINT NOT NULL,
    published_at    BIGINT NOT NULL,
    identity        BYTEA  NOT NULL,
    time            BIGINT NOT NULL,
    time_source     TEXT   NOT NULL,
    received_at     BIGINT NOT NULL,
    door            TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    data            TEXT,
    vendor_event_id TEXT,
    PRIMARY KEY (device_no, published_at, identity)
);
CREATE INDEX event_by_time ON event (device_no, time);

-- One row per point. Numbers stand in `number`; a boolean, a text or a location as JSON in `other`.
CREATE TABLE telemetry (
    device_no   BIGINT NOT NULL,
    key         TEXT   NOT NULL,
    time        BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    number      DOUBLE PRECISION,
    other       TEXT,
    PRIMARY KEY (device_no, key, time)
) /* sqlite: WITHOUT ROWID */;

-- What came in by a product's door and was not stored as an event. Bounded per product: the oldest
-- make room.
CREATE TABLE rejected_event (
    rejected_event_id TEXT   PRIMARY KEY,
    product_id        TEXT   NOT NULL,
    received_at       BIGINT NOT NULL,
    door              TEXT   NOT NULL,
    reason            TEXT   NOT NULL,
    cloud_device_id   TEXT,
    name              TEXT,
    body              TEXT
);
CREATE INDEX rejected_event_by_product ON rejected_event (product_id, rejected_event_id);

-- Times in which nothing that a product's devices published was missed, door by door. While a door
-- is open its last row grows.
CREATE TABLE complete_interval (
    product_id TEXT   NOT NULL,
    door       TEXT   NOT NULL,
    from_at    BIGINT NOT NULL,
    to_at      BIGINT NOT NULL,
    PRIMARY KEY (product_id, door, from_at)
);
