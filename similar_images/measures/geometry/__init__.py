"""Find the geometry between two images; knows no measure and no drawing."""
