-- What users reported to the administrators: an event, a room, or a user.
CREATE TABLE reports (
    report_id   INTEGER NOT NULL PRIMARY KEY,
    received_ts BIGINT  NOT NULL,
    reporter    TEXT    NOT NULL,
    room_id     TEXT, -- of an event or a room
    event_id    TEXT, -- of an event; what it says is not copied
    user_id     TEXT, -- the user, or who sent the event
    reason      TEXT,
    closed_ts   BIGINT
);
CREATE INDEX reports_open ON reports (report_id) WHERE closed_ts IS NULL;
