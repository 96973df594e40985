DROP TABLE uia_sessions;
DROP TABLE registration_tokens;
DROP TABLE refresh_tokens;
DROP TABLE access_tokens;
DROP TABLE devices;
DROP TABLE accounts;
