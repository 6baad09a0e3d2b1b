"""Conditioned ensembles: against a law that is known, and with few sensors."""
