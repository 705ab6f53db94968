"""Models trained on the operator's own machine: data, estimate, a process that trains, what comes out."""
