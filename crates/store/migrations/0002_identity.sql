-- Who is signed in: browser sessions, consents, authorization codes and tokens. Every secret is a
-- digest. What has ended is pruned later; whether something holds is judged by these rows, never by
-- whether a job has run.

-- One signed-in browser of a customer.
CREATE TABLE login_session (
    digest      BYTEA  PRIMARY KEY,
    session_id  TEXT   NOT NULL UNIQUE,
    customer_id TEXT   NOT NULL REFERENCES customer (customer_id),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX login_session_by_customer ON login_session (customer_id);
CREATE INDEX login_session_by_expiry ON login_session (expires_at);

CREATE TABLE consent (
    customer_id TEXT   NOT NULL REFERENCES customer (customer_id),
    client_id   TEXT   NOT NULL REFERENCES client (client_id),
    scopes      TEXT   NOT NULL,
    given_at    BIGINT NOT NULL,
    PRIMARY KEY (customer_id, client_id)
);

-- All tokens that descend from one authorization; it ends as a whole. A staff session has no client.
CREATE TABLE token_family (
    family_id   TEXT   PRIMARY KEY,
    client_id   TEXT   REFERENCES client (client_id),
    customer_id TEXT   REFERENCES customer (customer_id),
    staff_id    TEXT   REFERENCES staff (staff_id),
    scopes      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    end_reason  TEXT
);
CREATE INDEX token_family_by_client ON token_family (client_id);
CREATE INDEX token_family_by_customer ON token_family (customer_id);
CREATE INDEX token_family_by_staff ON token_family (staff_id);

-- `redirect_uri` and `code_challenge` as the authorization request brought them, if it did.
CREATE TABLE authorization_code (
    digest         BYTEA  PRIMARY KEY,
    client_id      TEXT   NOT NULL REFERENCES client (client_id),
    customer_id    TEXT   NOT NULL REFERENCES customer (customer_id),
    redirect_uri   TEXT,
    code_challenge TEXT,
    scopes         TEXT   NOT NULL,
    expires_at     BIGINT NOT NULL,
    used_at        BIGINT,
    family_id      TEXT
);
CREATE INDEX authorization_code_by_expiry ON authorization_code (expires_at);

-- `confirms`: the refresh token that this one answered. Its first use shows that the answer arrived.
CREATE TABLE access_token (
    digest     BYTEA  PRIMARY KEY,
    family_id  TEXT   NOT NULL REFERENCES token_family (family_id),
    scopes     TEXT   NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    confirms   BYTEA
);
CREATE INDEX access_token_by_family ON access_token (family_id);
CREATE INDEX access_token_by_expiry ON access_token (expires_at);

-- `replaced_at`: first exchanged for a successor, which is derived from this token and
-- `successor_salt`; whoever repeats the request gets the same one. `confirmed_at`: something issued
-- from it was used, so whoever shows it now is not the one who got that answer.
CREATE TABLE refresh_token (
    digest         BYTEA  PRIMARY KEY,
    family_id      TEXT   NOT NULL REFERENCES token_family (family_id),
    parent         BYTEA,
    issued_at      BIGINT NOT NULL,
    expires_at     BIGINT,
    replaced_at    BIGINT,
    successor_salt BYTEA,
    confirmed_at   BIGINT
);
CREATE INDEX refresh_token_by_family ON refresh_token (family_id);
