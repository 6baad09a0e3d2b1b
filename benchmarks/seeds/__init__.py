"""Every experiment of the four seeds beside its published figures."""
