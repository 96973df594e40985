-- What notifies a user in a room and has not been read, as far as it was judged. No row: nothing was.
CREATE TABLE unread (
    user_id     TEXT COLLATE "C" NOT NULL,
    room_id     TEXT COLLATE "C" NOT NULL,
    judged_upto BIGINT NOT NULL,
    events      BYTEA  NOT NULL, -- see crates/push/src/unread/encoding.rs
    PRIMARY KEY (user_id, room_id)
);
