"""Elements by size: sorted, ranked, counted, made unique."""
