"""A home-made CMS: a media library whose images teams share, with the integration that a guide shows."""
