DROP TABLE search_progress;
DROP TABLE search_index;
