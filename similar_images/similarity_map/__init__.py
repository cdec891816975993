"""The map of a source: a layout on which similar images lie near each other, and thumbnails to draw on it."""
