"""One element of the result from one of each operand."""
