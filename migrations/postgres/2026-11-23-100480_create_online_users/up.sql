-- Who was last said to be online: the one thing of presence that outlives the process, so that
-- who does not come back after a restart can be said to be offline.
CREATE TABLE online_users (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY
);
