"""Many elements into one, or into a running result."""
