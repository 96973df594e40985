CREATE TABLE rooms (
    room_id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version            TEXT COLLATE "C" NOT NULL,
    creator            TEXT COLLATE "C" NOT NULL,
    created_ts         BIGINT  NOT NULL,
    txn_key            BYTEA,
    published          BOOLEAN NOT NULL,
    -- What the directory shows: a copy of the current state, written with it.
    name               TEXT COLLATE "C",
    topic              TEXT COLLATE "C",
    canonical_alias    TEXT COLLATE "C",
    avatar_url         TEXT COLLATE "C",
    join_rule          TEXT COLLATE "C",
    guest_access       TEXT COLLATE "C",
    history_visibility TEXT COLLATE "C",
    room_type          TEXT COLLATE "C",
    search_text        TEXT COLLATE "C", -- name, topic and alias in lower case, for a search
    joined_members     BIGINT  NOT NULL,
    invited_members    BIGINT  NOT NULL
);
CREATE UNIQUE INDEX rooms_by_txn ON rooms (txn_key);
CREATE INDEX rooms_published ON rooms (joined_members, room_id) WHERE published;
CREATE TABLE events (
    position         BIGINT  NOT NULL PRIMARY KEY,
    event_id         TEXT COLLATE "C" NOT NULL,
    room_id          TEXT COLLATE "C" NOT NULL,
    event_type       TEXT COLLATE "C" NOT NULL,
    state_key        TEXT COLLATE "C",
    sender           TEXT COLLATE "C" NOT NULL,
    origin_server_ts BIGINT  NOT NULL,
    depth            BIGINT  NOT NULL,
    json             BYTEA    NOT NULL, -- canonical; text would refuse a NUL
    redacted_by      TEXT COLLATE "C",
    replaces_state   TEXT COLLATE "C",
    txn_key          BYTEA,
    device_id        TEXT COLLATE "C",
    txn_id           TEXT COLLATE "C"
);
CREATE UNIQUE INDEX events_by_id ON events (event_id);
CREATE UNIQUE INDEX events_by_txn ON events (txn_key);
CREATE INDEX events_by_room ON events (room_id, position);
-- A place in the state holds an event from `position` until `replaced_at` (2^63 - 1: still).
CREATE TABLE room_state (
    room_id        TEXT COLLATE "C" NOT NULL,
    event_type     TEXT COLLATE "C" NOT NULL,
    state_key      TEXT COLLATE "C" NOT NULL,
    position       BIGINT NOT NULL,
    replaced_at    BIGINT NOT NULL,
    event_position BIGINT NOT NULL,
    PRIMARY KEY (room_id, event_type, state_key, position)
);
CREATE INDEX room_state_by_end ON room_state (room_id, replaced_at, position);
CREATE INDEX room_state_by_start ON room_state (room_id, position);
CREATE TABLE memberships (
    room_id      TEXT COLLATE "C" NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL,
    membership   TEXT COLLATE "C" NOT NULL,
    position     BIGINT  NOT NULL,
    event_id     TEXT COLLATE "C" NOT NULL,
    sender       TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C",
    avatar_url   TEXT COLLATE "C",
    forgotten    BOOLEAN NOT NULL,
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id, membership, position);
CREATE INDEX memberships_by_room ON memberships (room_id, membership, position);
CREATE TABLE room_aliases (
    alias   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    room_id TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C" NOT NULL
);
CREATE INDEX room_aliases_by_room ON room_aliases (room_id);
