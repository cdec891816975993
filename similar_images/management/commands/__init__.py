"""Commands of the app, one a module."""
