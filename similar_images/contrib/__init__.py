"""Integrations with content management systems: thin layers that register, hook, and show; each an extra."""
