"""The read path: from a query to the matches that the visitor may see."""
