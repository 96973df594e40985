-- One row: whose database this is, and the end of the one stream.
-- The writer moves `position` first in every transaction: nobody else can have moved it meanwhile.
CREATE TABLE server (
    id          BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    server_name TEXT   NOT NULL,
    position    BIGINT NOT NULL
);
