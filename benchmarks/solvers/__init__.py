"""Solvers side by side: `python -m benchmarks.solvers` writes docs/results/solvers.md."""
