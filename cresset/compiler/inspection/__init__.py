"""Inspection: what is compiled, shown, drawn, timed and verified."""
