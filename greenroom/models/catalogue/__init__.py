"""What is known of models: facts with their sources, what they need of a machine, and which one to choose."""
