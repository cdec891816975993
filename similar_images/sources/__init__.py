"""Sources: registered image fields, and the objects that own their images."""
