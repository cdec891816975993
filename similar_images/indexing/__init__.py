"""The write path: from a saved object to its stored signatures."""
