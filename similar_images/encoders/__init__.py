"""Encoders that a site adds by a command: known ones, the files of added ones, and where they come from."""
