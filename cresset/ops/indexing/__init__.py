"""Elements picked by where they are: read and written."""
