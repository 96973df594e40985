CREATE TABLE rooms (
    room_id            TEXT    NOT NULL PRIMARY KEY,
    version            TEXT    NOT NULL,
    creator            TEXT    NOT NULL,
    created_ts         BIGINT  NOT NULL,
    txn_key            BLOB,
    published          BOOLEAN NOT NULL,
    -- What the directory shows: a copy of the current state, written with it.
    name               TEXT,
    topic              TEXT,
    canonical_alias    TEXT,
    avatar_url         TEXT,
    join_rule          TEXT,
    guest_access       TEXT,
    history_visibility TEXT,
    room_type          TEXT,
    search_text        TEXT, -- name, topic and alias in lower case, for a search
    joined_members     BIGINT  NOT NULL,
    invited_members    BIGINT  NOT NULL
);
CREATE UNIQUE INDEX rooms_by_txn ON rooms (txn_key);
CREATE INDEX rooms_published ON rooms (joined_members, room_id) WHERE published;
CREATE TABLE events (
    position         INTEGER NOT NULL PRIMARY KEY,
    event_id         TEXT    NOT NULL,
    room_id          TEXT    NOT NULL,
    event_type       TEXT    NOT NULL,
    state_key        TEXT,
    sender           TEXT    NOT NULL,
    origin_server_ts BIGINT  NOT NULL,
    depth            BIGINT  NOT NULL,
    json             BLOB    NOT NULL, -- canonical; text would refuse a NUL
    redacted_by      TEXT,
    replaces_state   TEXT,
    txn_key          BLOB,
    device_id        TEXT,
    txn_id           TEXT
);
CREATE UNIQUE INDEX events_by_id ON events (event_id);
CREATE UNIQUE INDEX events_by_txn ON events (txn_key);
CREATE INDEX events_by_room ON events (room_id, position);
-- A place in the state holds an event from `position` until `replaced_at` (2^63 - 1: still).
CREATE TABLE room_state (
    room_id        TEXT   NOT NULL,
    event_type     TEXT   NOT NULL,
    state_key      TEXT   NOT NULL,
    position       BIGINT NOT NULL,
    replaced_at    BIGINT NOT NULL,
    event_position BIGINT NOT NULL,
    PRIMARY KEY (room_id, event_type, state_key, position)
) WITHOUT ROWID;
CREATE INDEX room_state_by_end ON room_state (room_id, replaced_at, position);
CREATE INDEX room_state_by_start ON room_state (room_id, position);
CREATE TABLE memberships (
    room_id      TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    membership   TEXT    NOT NULL,
    position     BIGINT  NOT NULL,
    event_id     TEXT    NOT NULL,
    sender       TEXT    NOT NULL,
    display_name TEXT,
    avatar_url   TEXT,
    forgotten    BOOLEAN NOT NULL,
    PRIMARY KEY (room_id, user_id)
) WITHOUT ROWID;
CREATE INDEX memberships_by_user ON memberships (user_id, membership, position);
CREATE INDEX memberships_by_room ON memberships (room_id, membership, position);
CREATE TABLE room_aliases (
    alias   TEXT NOT NULL PRIMARY KEY,
    room_id TEXT NOT NULL,
    creator TEXT NOT NULL
);
CREATE INDEX room_aliases_by_room ON room_aliases (room_id);
