"""The experiments of the seeds beside what was published of them."""
