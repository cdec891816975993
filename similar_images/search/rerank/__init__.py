"""Re-rank search results by comparing the images themselves."""
