CREATE TABLE pushers (
    app_id              TEXT   NOT NULL,
    pushkey             TEXT   NOT NULL,
    user_id             TEXT   NOT NULL,
    device_id           TEXT   NOT NULL, -- who set it last: it ends with that device
    app_display_name    TEXT   NOT NULL,
    device_display_name TEXT   NOT NULL,
    profile_tag         TEXT,
    lang                TEXT   NOT NULL,
    data                BLOB   NOT NULL, -- JSON, with the gateway's URL
    set_ts              BIGINT NOT NULL,
    position            BIGINT NOT NULL, -- served up to here
    unread_told         BIGINT,          -- the number of unread messages that the gateway knows
    failures            BIGINT NOT NULL, -- in a row
    retry_ts            BIGINT NOT NULL, -- not to be tried before
    PRIMARY KEY (app_id, pushkey, user_id)
) WITHOUT ROWID;
CREATE INDEX pushers_by_user ON pushers (user_id);
