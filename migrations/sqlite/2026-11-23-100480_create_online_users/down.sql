DROP TABLE online_users;
