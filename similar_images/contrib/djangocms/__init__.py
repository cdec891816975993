"""django CMS with django-filer: the images of its media library are a source, and similar ones are shown."""
