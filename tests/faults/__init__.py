"""The fault table: what is injected, how often, and whether anything was ever lost.

python -m tests.faults                      all rows, to docs/results/faults.md and .json
python -m tests.faults --only full flipped  these rows; the others stay as they are
"""
