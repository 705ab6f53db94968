"""How an exchange runs: steps in order, the model, filters over the answer, and the record of it all."""
