-- The words by which active users are found: those of their ID and display name, folded.
CREATE TABLE directory_words (
    user_id TEXT COLLATE "C" NOT NULL,
    word    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, word)
);
CREATE INDEX directory_words_by_word ON directory_words (word, user_id);
-- Rooms whose members everybody may find.
CREATE INDEX rooms_open ON rooms (room_id) WHERE join_rule = 'public' OR history_visibility = 'world_readable';
