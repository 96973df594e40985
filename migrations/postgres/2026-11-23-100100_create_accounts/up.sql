CREATE TABLE accounts (
    user_id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    password_hash TEXT COLLATE "C", -- argon2id in PHC format; NULL: no login by password
    admin         BOOLEAN NOT NULL,
    deactivated   BOOLEAN NOT NULL,
    created_ts    BIGINT  NOT NULL
);
CREATE TABLE devices (
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES accounts (user_id),
    device_id    TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C",
    created_ts   BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id)
);
-- Tokens are stored as SHA-256 only.
CREATE TABLE access_tokens (
    token_hash BYTEA   NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL,
    device_id  TEXT COLLATE "C" NOT NULL,
    expires_ts BIGINT
);
CREATE INDEX access_tokens_by_device ON access_tokens (user_id, device_id);
CREATE TABLE refresh_tokens (
    token_hash BYTEA   NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL,
    device_id  TEXT COLLATE "C" NOT NULL,
    used       BOOLEAN NOT NULL, -- the pair made from it has been used: it must never come back
    next_access BYTEA, -- the access token it was traded for, if it was
    traded_ts  BIGINT -- when
);
CREATE INDEX refresh_tokens_by_device ON refresh_tokens (user_id, device_id);
CREATE INDEX refresh_tokens_by_next ON refresh_tokens (next_access);
CREATE TABLE registration_tokens (
    token        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uses_allowed BIGINT,
    uses         BIGINT NOT NULL,
    expires_ts   BIGINT
);
CREATE TABLE uia_sessions (
    session_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C",
    endpoint     TEXT COLLATE "C" NOT NULL,
    request_hash BYTEA   NOT NULL,
    completed    TEXT COLLATE "C" NOT NULL, -- a JSON array of stages
    proof        TEXT COLLATE "C",
    expires_ts   BIGINT NOT NULL
);
CREATE INDEX uia_sessions_by_expiry ON uia_sessions (expires_ts);
