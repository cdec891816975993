"""How well the methods find what they should, and what they cost. Loaded by commands only."""
