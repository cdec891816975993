"""Search in a loop, for tests of what goes on meanwhile: `python -m tests.search.continuous_search PK STOP`.

It prints "searching" after the first search, goes on until the file STOP exists, and then prints as JSON: the number of
searches, how many of them came back empty, the versions that they went by, and how many results were not those of a
version.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django


def main(pk: str, stop: Path) -> None:
    django.setup()
    from similar_images import registry, similar_to
    from similar_images.indexing import versions
    from tests.testapp.models import Picture

    picture = Picture.objects.get(pk=pk)
    source = registry.get_source(Picture)
    results: dict[str, set[str]] = {}
    searches = empty = 0
    while not stop.exists():
        before = versions.active_versions(source)["grid"].version
        matches = similar_to(picture, limit=30)
        after = versions.active_versions(source)["grid"].version
        searches += 1
        empty += not matches
        if before == after:  # else it may have been either
            results.setdefault(before, set()).add(str([(match.object.pk, match.distances) for match in matches]))
        if searches == 1:
            print("searching", flush=True)
    wrong = sum(len(answers) - 1 for answers in results.values())
    print(json.dumps({"searches": searches, "empty": empty, "versions": list(results), "wrong": wrong}))


main(sys.argv[1], Path(sys.argv[2]))
