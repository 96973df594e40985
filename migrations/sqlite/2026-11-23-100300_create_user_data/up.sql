CREATE TABLE profile_fields (
    user_id TEXT NOT NULL,
    field   TEXT NOT NULL,
    value   BLOB NOT NULL, -- JSON
    PRIMARY KEY (user_id, field)
) WITHOUT ROWID;
-- Users whose rooms have to be told of a new name or avatar.
CREATE TABLE profile_changes (
    user_id TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
CREATE TABLE account_data (
    user_id   TEXT   NOT NULL,
    room_id   TEXT   NOT NULL, -- empty: global
    data_type TEXT   NOT NULL,
    content   BLOB   NOT NULL,
    position  BIGINT NOT NULL,
    PRIMARY KEY (user_id, room_id, data_type)
) WITHOUT ROWID;
CREATE INDEX account_data_by_user ON account_data (user_id, position);
CREATE TABLE filters (
    user_id   TEXT NOT NULL,
    filter_id TEXT NOT NULL,
    content   BLOB NOT NULL,
    PRIMARY KEY (user_id, filter_id)
) WITHOUT ROWID;
CREATE TABLE receipts (
    room_id        TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    receipt_type   TEXT   NOT NULL,
    thread_id      TEXT   NOT NULL, -- empty: unthreaded
    event_id       TEXT   NOT NULL,
    event_position BIGINT NOT NULL,
    ts             BIGINT NOT NULL,
    position       BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id, receipt_type, thread_id)
) WITHOUT ROWID;
CREATE INDEX receipts_by_room ON receipts (room_id, position);
