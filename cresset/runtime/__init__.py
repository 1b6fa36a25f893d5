"""Machine code and memory: how a plan runs."""
