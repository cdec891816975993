"""Evaluation, calibration and learning: how well methods find the right images. Only commands import it."""
