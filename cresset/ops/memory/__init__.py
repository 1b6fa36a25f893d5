"""Storages, copies and conversions, and what a tensor tells of itself."""
