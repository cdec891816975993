"""Chaos: many processes write, index and search while others are killed; afterwards everything must be in place.

`make chaos`, or `python -m tests.chaos --minutes 10`, runs it. Its parts:

- `conductor` starts the processes and servers, kills them, and changes the weather of the storage;
- `writer` is a process of the host, which may die anywhere, and `operations` what it does: save, replace, overwrite,
  rename, delete, in bulk, in SQL; `recovery` is what its next life does first;
- `reader` searches all the time, by Python and over REST;
- `journal` is what each process writes down: what it is about to do, what it has done, and what it was answered;
- `history` judges every answer by the journals: was this object there, with these bytes, at some moment of the search?
- `verification` compares the tables with the storage at the end, in plain SQL and NumPy.

Every picture is a single color that says its number, so that any distance between two says which pictures they are.
"""
