"""Quality by time: what preconditioning, coloured noise and levels bring on the quickstart."""
