"""REST: searches, comparisons, marks and the status of the index."""
