"""What the demo shows: a shop, or another site with the same products."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from project.catalog.listings import Listing


class DemoSite(ABC):
    """A site of the demo, which the setting DEMO_SITE names."""

    name: str
    """The site in a word."""

    @abstractmethod
    def add(self, found: list[Listing]) -> tuple[int, Iterator[object]]:
        """Return the number of listings that are not shown yet, and what adds them, one a step.

        What was added of other collections is deleted.
        """

    @abstractmethod
    def addresses(self, login: str) -> Iterable[tuple[str, str]]:
        """Yield the names and paths of its pages; those that need one have the login behind them."""
