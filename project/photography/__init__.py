"""The photographs of the demo shop, rendered: `python -m project.photography`.

Needs the extra `photography`. Neither the shop nor the tests do: the pictures are kept in `project/catalog/images/`.
"""
