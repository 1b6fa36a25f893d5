"""Sums of products: matrix products, contractions, distances."""
