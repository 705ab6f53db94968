"""What is kept: traces, keys, conversations. SQLite files in one folder; knows the waist, no other room."""
