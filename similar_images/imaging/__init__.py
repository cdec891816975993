"""Untrusted bytes to upright pixels, within bounds of size and time; knows no Django model and no setting."""
