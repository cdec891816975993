"""Comparisons of two images: by every measure, for visitors in bounded time, and in words."""
