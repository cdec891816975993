"""A magazine about home goods with Wagtail: the second site of the demo."""
