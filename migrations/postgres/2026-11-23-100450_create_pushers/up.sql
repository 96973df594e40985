CREATE TABLE pushers (
    app_id              TEXT COLLATE "C" NOT NULL,
    pushkey             TEXT COLLATE "C" NOT NULL,
    user_id             TEXT COLLATE "C" NOT NULL,
    device_id           TEXT COLLATE "C" NOT NULL, -- who set it last: it ends with that device
    app_display_name    TEXT COLLATE "C" NOT NULL,
    device_display_name TEXT COLLATE "C" NOT NULL,
    profile_tag         TEXT COLLATE "C",
    lang                TEXT COLLATE "C" NOT NULL,
    data                BYTEA  NOT NULL, -- JSON, with the gateway's URL
    set_ts              BIGINT NOT NULL,
    position            BIGINT NOT NULL, -- served up to here
    unread_told         BIGINT,          -- the number of unread messages that the gateway knows
    failures            BIGINT NOT NULL, -- in a row
    retry_ts            BIGINT NOT NULL, -- not to be tried before
    PRIMARY KEY (app_id, pushkey, user_id)
);
CREATE INDEX pushers_by_user ON pushers (user_id);
