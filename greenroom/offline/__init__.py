"""Work that no client waits for: evaluation, comparison, optimisation, experiments."""
