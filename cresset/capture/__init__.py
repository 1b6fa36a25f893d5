"""Capture: programs as graphs."""
