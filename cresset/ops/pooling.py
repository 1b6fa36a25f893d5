"""Pooling."""
__all__ = ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"]
def max_pool2d(*a, **k): raise NotImplementedError
def avg_pool2d(*a, **k): raise NotImplementedError
def adaptive_avg_pool2d(*a, **k): raise NotImplementedError
