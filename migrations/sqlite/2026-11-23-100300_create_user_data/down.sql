DROP TABLE receipts;
DROP TABLE filters;
DROP TABLE account_data;
DROP TABLE profile_changes;
DROP TABLE profile_fields;
