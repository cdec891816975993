"""Draw the images that explain a comparison."""
