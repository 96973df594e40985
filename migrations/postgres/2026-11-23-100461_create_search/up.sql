-- The words of events, by position, as hashes of their tokens.
CREATE TABLE search_entries (
    position BIGINT    NOT NULL PRIMARY KEY,
    tokens   INTEGER[] NOT NULL
);
CREATE INDEX search_entries_by_token ON search_entries USING gin (tokens);
-- One row: up to where events are indexed, by which version of the tokens.
CREATE TABLE search_progress (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version  BIGINT NOT NULL,
    position BIGINT NOT NULL
);
INSERT INTO search_progress (id, version, position) VALUES (1, 0, 0);
