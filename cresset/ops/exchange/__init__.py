"""To and from Python, NumPy, DLPack, text and files."""
