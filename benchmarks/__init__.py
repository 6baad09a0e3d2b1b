"""What is measured: combinations of parts, solvers beside their peers, validation."""
