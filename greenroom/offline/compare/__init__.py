"""Models held against each other on the same samples: quality, latency, cost and refusals, with intervals."""
