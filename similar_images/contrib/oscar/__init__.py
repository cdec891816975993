"""Oscar: product images are a source, similar products are found by the images of a whole family."""
