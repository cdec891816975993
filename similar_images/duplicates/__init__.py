"""Find what a folder or a source holds more than once: candidates, verification, groups, report."""
