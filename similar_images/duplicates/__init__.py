"""A whole collection compared: copies among many pictures, found by signature and proven by comparing the pictures."""
