"""Signals and their frequencies."""
