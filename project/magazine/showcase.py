"""The magazine as a site of the demo."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from django.core.files import File
from django.db import transaction
from django.utils.html import escape
from django.utils.text import slugify
from wagtail.images import get_image_model
from wagtail.models import Collection, Page, Site

from project.catalog.listings import Listing
from project.demo.site import DemoSite
from project.magazine.models import HomePage, SectionPage, StoryPage

logger = logging.getLogger(__name__)


class Magazine(DemoSite):
    """The magazine: a story about each thing, in the section of its category."""

    name = "magazine"

    def add(self, found: list[Listing]) -> tuple[int, Iterator[object]]:
        """Return the number of new stories, and what writes them; those of other collections are deleted."""
        delete_other_collections(found[0].collection)
        known = set(StoryPage.objects.values_list("slug", flat=True))
        missing = sorted((listing for listing in found if listing.slug not in known), key=lambda each: each.digest)
        return len(missing), create_stories(missing)

    def addresses(self, login: str) -> Iterable[tuple[str, str]]:
        """Yield the pages of the magazine, and those of its editors."""
        story = StoryPage.objects.live().first()
        image = story.hero if story else None
        yield "Magazine", "/"
        if story and image:
            yield "A story", str(story.url)
            yield "Similar images, e.g.", f"/similar-images/{image._meta.label_lower}/{image.pk}/"
        yield "Search by image", "/similar-images/search/"
        yield "Wagtail", f"/admin/  {login}"
        yield "Images in Wagtail", "/admin/images/"
        yield "Django's admin", "/django-admin/"


def delete_other_collections(collection: str) -> None:
    """Delete the stories of other collections with their images, but none that were written by hand."""
    for story in StoryPage.objects.exclude(collection__in=(collection, "")):
        for image in story.images:
            image.delete()
        story.delete()


def create_stories(listings: list[Listing]) -> Iterator[StoryPage]:
    """Create and yield a story for every listing whose files are readable."""
    home = get_home()
    for category in sorted({listing.category for listing in listings}):
        get_section(home, category)
    for listing in listings:
        with ExitStack() as stack:
            try:
                files = [File(stack.enter_context(path.open("rb")), path.name) for path in listing.photos]
            except OSError as error:
                logger.warning("%s is skipped: %s", error.filename, error.strerror)
                continue
            with transaction.atomic():
                story = create_story(get_section(home, listing.category), listing, files)
        yield story


def create_story(section: SectionPage, listing: Listing, files: Iterable[File[bytes]]) -> StoryPage:
    """Create a story; the first file is its picture, all are in the collection of the section."""
    images = [create_image(section.title, listing, file) for file in files]
    body: list[Any] = [("text", f"<p>{escape(listing.description)}</p>")] if listing.description else []
    story = StoryPage(
        title=listing.name,
        slug=listing.slug,
        hero=images[0],
        collection=listing.collection,
        body=[
            *body,
            *(("picture", image) for image in images[1:]),
            ("similar_images", {"image": images[0], "limit": 6}),
        ],
    )
    section.add_child(instance=story)
    return story


def create_image(collection: str, listing: Listing, file: File[bytes]) -> Any:
    """Create an image in the collection of this name."""
    root = Collection.get_first_root_node()
    found = root.get_children().filter(name=collection).first() or root.add_child(name=collection)
    return get_image_model().objects.create(title=listing.name, file=file, collection=found)


def get_home() -> HomePage:
    """Return the cover; where there is none, make it the root page of the site, in place of the one Wagtail made."""
    home: HomePage | None = HomePage.objects.first()
    if home is None:
        root = Page.get_first_root_node()
        for page in root.get_children():
            page.delete()
        home = HomePage(title="Lookalike Magazine", slug="home")
        Page.get_first_root_node().add_child(instance=home)
        Site.objects.update_or_create(
            is_default_site=True, defaults={"hostname": "localhost", "root_page": home, "site_name": home.title}
        )
    return home


def get_section(home: HomePage, name: str) -> SectionPage:
    """Return the section of this name; create it if it does not exist."""
    slug = slugify(name)[:100] or "things"
    section: SectionPage | None = SectionPage.objects.child_of(home).filter(slug=slug).first()
    if section is None:
        section = SectionPage(title=name, slug=slug, show_in_menus=True)
        home.add_child(instance=section)
    return section
