"""What judges outputs without a model: one file for each kind of thing looked at, one table of them all."""
