-- The words of events, by position: only what leads from a token to the events that have it. The
-- tokens are made before they come here, so that both engines find the same.
CREATE VIRTUAL TABLE search_index USING fts5 (
    tokens, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);
-- What a redaction takes out is gone from the index at once, not when its parts are next merged.
INSERT INTO search_index (search_index, rank) VALUES ('secure-delete', 1);
-- One row: up to where events are indexed, by which version of the tokens.
CREATE TABLE search_progress (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version  BIGINT NOT NULL,
    position BIGINT NOT NULL
);
INSERT INTO search_progress (id, version, position) VALUES (1, 0, 0);
