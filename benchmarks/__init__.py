"""What Greenroom costs, measured against nginx and its peers on this machine. See docs/benchmarks.md."""
