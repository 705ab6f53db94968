"""What is kept: traces, keys, conversations. SQLite files in one data folder; knows the waist and no other room."""
