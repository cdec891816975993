"""Benchmarks and drawings for the development of this project, and an app with their commands; not in the wheel."""
