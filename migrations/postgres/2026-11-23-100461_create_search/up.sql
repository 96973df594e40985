-- The words of events, by position, as hashes of their tokens.
CREATE TABLE search_entries (
    position BIGINT    NOT NULL PRIMARY KEY,
    tokens   INTEGER[] NOT NULL
);
-- What is new waits in a list within the index, whose pages stay with it. With the default of 4 MB the index of
-- 50,000 messages is nearly twice as large; without a list, an entry takes ten times as long.
CREATE INDEX search_entries_by_token ON search_entries USING gin (tokens) WITH (gin_pending_list_limit = 512);
-- One row: up to where events are indexed, by which version of the tokens.
CREATE TABLE search_progress (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version  BIGINT NOT NULL,
    position BIGINT NOT NULL
);
INSERT INTO search_progress (id, version, position) VALUES (1, 0, 0);
