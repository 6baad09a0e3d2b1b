"""Solutions held against what they should be: `python -m benchmarks.validation`."""
