"""Turn untrusted bytes into upright pixels, within bounds; knows no Django model."""
