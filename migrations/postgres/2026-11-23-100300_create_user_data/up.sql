CREATE TABLE profile_fields (
    user_id TEXT COLLATE "C" NOT NULL,
    field   TEXT COLLATE "C" NOT NULL,
    value   BYTEA NOT NULL, -- JSON
    PRIMARY KEY (user_id, field)
);
-- Users whose rooms have to be told of a new name or avatar.
CREATE TABLE profile_changes (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
CREATE TABLE account_data (
    user_id   TEXT COLLATE "C" NOT NULL,
    room_id   TEXT COLLATE "C" NOT NULL, -- empty: global
    data_type TEXT COLLATE "C" NOT NULL,
    content   BYTEA   NOT NULL,
    position  BIGINT NOT NULL,
    PRIMARY KEY (user_id, room_id, data_type)
);
CREATE INDEX account_data_by_user ON account_data (user_id, position);
CREATE TABLE filters (
    user_id   TEXT COLLATE "C" NOT NULL,
    filter_id TEXT COLLATE "C" NOT NULL,
    content   BYTEA NOT NULL,
    PRIMARY KEY (user_id, filter_id)
);
CREATE TABLE receipts (
    room_id        TEXT COLLATE "C" NOT NULL,
    user_id        TEXT COLLATE "C" NOT NULL,
    receipt_type   TEXT COLLATE "C" NOT NULL,
    thread_id      TEXT COLLATE "C" NOT NULL, -- empty: unthreaded
    event_id       TEXT COLLATE "C" NOT NULL,
    event_position BIGINT NOT NULL,
    ts             BIGINT NOT NULL,
    position       BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id, receipt_type, thread_id)
);
CREATE INDEX receipts_by_room ON receipts (room_id, position);
