"""The compiler: from captured graphs to programs."""
