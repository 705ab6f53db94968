"""The four stages: each step is one file, told apart from the next by a contract only."""
