"""The benchmark of function-space generative models: see `__main__`."""
