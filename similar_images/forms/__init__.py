"""Forms of the pages, of REST and of the admin."""
