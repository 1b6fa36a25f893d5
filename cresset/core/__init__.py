"""Core: element types, layouts, storages, tensors, scalar expressions."""
