DROP TABLE room_aliases;
DROP TABLE memberships;
DROP TABLE room_state;
DROP TABLE events;
DROP TABLE rooms;
