"""Benchmarks and plots of the development of this project; not in the wheel."""
