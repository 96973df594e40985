DROP INDEX rooms_open;
DROP TABLE directory_words;
