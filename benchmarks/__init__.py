"""Ours beside what it is compared to: `python -m benchmarks --help`."""
