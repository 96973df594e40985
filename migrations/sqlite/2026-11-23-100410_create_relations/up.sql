-- Events that relate to others. `target` is a hash of the room and of the other event's ID.
CREATE TABLE relations (
    position   INTEGER NOT NULL PRIMARY KEY, -- of the event that relates
    target     BLOB    NOT NULL,
    rel_type   TEXT    NOT NULL,
    event_type TEXT    NOT NULL,
    sender     TEXT    NOT NULL,
    edit_ts    BIGINT, -- of what has the form of an edit: its origin_server_ts
    annotation BLOB    -- of an annotation: a hash of its key
);
CREATE INDEX relations_by_target ON relations (target, position);
CREATE INDEX relations_by_rel_type ON relations (target, rel_type, position);
CREATE INDEX relations_by_event_type ON relations (target, rel_type, event_type, position);
CREATE INDEX relations_by_sender ON relations (target, sender, rel_type, event_type, edit_ts);
-- Events that relate to what relates to `target`, or to what relates to that. The types are those
-- of all events on the way, where they are the same.
CREATE TABLE indirect_relations (
    target     BLOB   NOT NULL,
    position   BIGINT NOT NULL,
    depth      BIGINT NOT NULL, -- 2 or 3
    rel_type   TEXT,
    event_type TEXT,
    PRIMARY KEY (target, position)
) WITHOUT ROWID;
CREATE INDEX indirect_relations_by_position ON indirect_relations (position);
CREATE INDEX indirect_relations_by_rel_type ON indirect_relations (target, rel_type, position)
    WHERE rel_type IS NOT NULL;
CREATE INDEX indirect_relations_by_event_type
    ON indirect_relations (target, rel_type, event_type, position)
    WHERE event_type IS NOT NULL;
-- What is summed up of the relations to an event.
CREATE TABLE aggregations (
    target       BLOB   NOT NULL PRIMARY KEY,
    room_id      TEXT   NOT NULL,
    event_id     TEXT   NOT NULL, -- of the target
    edits        BIGINT NOT NULL, -- also of those that are not valid
    referrers    BIGINT NOT NULL, -- m.reference
    replies      BIGINT NOT NULL, -- m.thread
    latest_reply BIGINT           -- the position of the newest of them
) WITHOUT ROWID;
CREATE INDEX aggregations_threads ON aggregations (room_id, latest_reply)
    WHERE latest_reply IS NOT NULL;
