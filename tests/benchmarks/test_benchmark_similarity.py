"""The command that measures how searches scale: with generated records, separate from those of the site."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError

import similar_images
from benchmarks import scaling
from similar_images import registry
from similar_images.models import IndexedImage, MethodVersion, Signature, Source
from tests import commands
from tests.databases import VARIANT, connection

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        VARIANT in ("replica", "pgbouncer"), reason="its tables are in a schema of the primary alone, for one session"
    ),
]

run = partial(commands.run, "benchmark_similarity", verbosity=0)


@pytest.fixture(autouse=True)
def _quick(configure: Any) -> None:
    names = ("Wide", "Bits", "Sparse", "Mean")
    configure(METHODS={f"tests.methods.{name}": {} for name in names}, RANKING={"wide": 1})


def schemas() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", [scaling.SCHEMA])
        return [name for (name,) in cursor.fetchall()]


def test_benchmark__measures_every_kind_of_search() -> None:
    result = json.loads(run("--records", "2500", "--queries", "3", "--json")[0])
    rows = {row["title"]: row for row in result["rows"]}
    assert list(rows) == [
        "no filter",
        *(f"{share}% left" for share in (100, 10, 1, 0.1)),
        *(f"{share}% left, whole clusters" for share in (10, 1)),
        *(f"no filter, `{name}` alone" for name in ("wide", "bits", "sparse", "mean")),
    ]
    assert result["records"] == rows["no filter"]["records"] == rows["100% left"]["records"] == 2500
    assert 150 < rows["10% left"]["records"] < 350
    for row in rows.values():
        assert row["fewest"] == row["there_are"]
        assert row["recall"] >= 0.9, row
        assert 0 < row["sql_ms"] < row["call_ms"]
        assert row["exact_sql_ms"] > 0
    assert rows["no filter, `wide` alone"]["by_index"]
    assert (rows["no filter"]["queries"], rows["100% left"]["queries"]) == (4, 5)


def test_benchmark__does_not_touch_the_records_of_the_site(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    tables = (Source, MethodVersion, IndexedImage, Signature)

    def snapshot() -> Any:
        return [list(model.objects.order_by("pk").values()) for model in tables], registry.get_sources()

    before, matches = snapshot(), similar_images.similar_to(item)
    assert "| 10% left " in run("--records", "3000", "--queries", "2")[0]
    assert snapshot() == before
    assert similar_images.similar_to(item) == matches
    assert schemas() == []


def test_benchmark__cleans_up_when_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any) -> None:
        assert schemas()
        raise KeyboardInterrupt

    monkeypatch.setattr(scaling, "build_indexes", stop)
    before = registry.get_sources()
    with pytest.raises(KeyboardInterrupt):
        run("--records", "300", "--queries", "2")
    assert schemas() == []
    assert registry.get_sources() == before


def test_benchmark__rejects_invalid_options() -> None:
    for options in (["--records", "5"], ["--queries", "0"]):
        with pytest.raises(CommandError, match="--queries"):
            run(*options)
