DROP TABLE pushers;
