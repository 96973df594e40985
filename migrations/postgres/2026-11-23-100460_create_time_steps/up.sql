-- Events that are older, by what they say, than the event before them in their room. Between two of
-- them time only goes on, so that positions are in the order of time there.
CREATE TABLE time_steps (
    room_id  TEXT   NOT NULL COLLATE "C",
    position BIGINT NOT NULL,
    PRIMARY KEY (room_id, position)
);
INSERT INTO time_steps (room_id, position)
SELECT room_id, position
FROM (
    SELECT
        room_id,
        position,
        origin_server_ts < lag(origin_server_ts) OVER (PARTITION BY room_id ORDER BY position) AS steps_back
    FROM events
) AS followed
WHERE steps_back;
