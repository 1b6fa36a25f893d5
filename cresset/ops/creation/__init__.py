"""Tensors out of nothing but numbers."""
