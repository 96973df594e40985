-- What users reported to the administrators: an event, a room, or a user.
CREATE TABLE reports (
    report_id   BIGINT  NOT NULL PRIMARY KEY,
    received_ts BIGINT  NOT NULL,
    reporter    TEXT COLLATE "C" NOT NULL,
    room_id     TEXT COLLATE "C", -- of an event or a room
    event_id    TEXT COLLATE "C", -- of an event; what it says is not copied
    user_id     TEXT COLLATE "C", -- the user, or who sent the event
    reason      TEXT COLLATE "C",
    closed_ts   BIGINT
);
CREATE INDEX reports_open ON reports (report_id) WHERE closed_ts IS NULL;
