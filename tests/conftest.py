"""Fixtures that every test may ask for."""

import pytest


@pytest.fixture(scope="session")
def torch():
    """PyTorch, to compare with; a test that asks for it is skipped where it is not installed."""
    return pytest.importorskip("torch", reason="PyTorch is not installed (make compare mends it)")
