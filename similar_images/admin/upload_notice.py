"""The notice about a file that is chosen in the admin: which images of the same field already show the same."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from django.db import Error as DatabaseError
from django.db.models.fields.files import FieldFile
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import access, conf, permissions
from ..imaging.decode import TooManyPixels, UnreadableImage
from ..imaging.files import sha256_of
from ..imaging.timeouts import SearchTimeout
from ..search.known_images import KnownImage, PlainImage, find_near_duplicates, find_same_files
from ..thumbnails import ThumbnailBatch
from .image_fields import AdminImageField

MAX_COUNTED = 12
"""Images of each kind that are counted: of more, the notice says that there are as many at least."""

MAX_NOTICE_IMAGES = 6
"""Images that are shown, the same files first."""

logger = logging.getLogger("similar_images")


@dataclass(frozen=True)
class NoticeImage:
    """An image of the notice.

    Attributes:
        known: the image, and how it was found.
        title: its object in words, or the owner where the user may see that one.
        has_owner: whether the title is that of an owner.
        url: the address of the page in the admin that shows the object.
        file: its file.
        thumbnails: the thumbnails of all images, where the source has a thumbnailer.
    """

    known: KnownImage
    title: str
    has_owner: bool
    url: str
    file: FieldFile
    thumbnails: ThumbnailBatch | None

    @property
    def thumbnail_url(self) -> str:
        """The address of a small image, or that of the file itself."""
        thumbnail = self.thumbnails.make(self.file) if self.thumbnails else None
        return thumbnail.url if thumbnail else self.file.url


@dataclass(frozen=True)
class UploadNotice:
    """The notice about a file.

    Attributes:
        images: the images that are shown.
        same_files: number of images with the same bytes that the user may see, `MAX_COUNTED` at most.
        near_duplicates: number of those that look almost the same.
        largest: width and height in pixels of the largest; None where all are of one size.
        problem: a sentence on why not everything could be looked for, empty where it was.
    """

    images: Sequence[NoticeImage] = ()
    same_files: int = 0
    near_duplicates: int = 0
    largest: tuple[int, int] | None = None
    problem: str = ""

    @property
    def text(self) -> str:
        """The images in one or two sentences, empty where there are none."""
        if not self.images:
            return ""
        sentences = [self._describe_same_files(), self._describe_near_duplicates()]
        if self.largest:
            width, height = self.largest
            sentences.append(_("The largest is %(width)d × %(height)d pixels.") % {"width": width, "height": height})
        return " ".join(filter(None, sentences))

    def _describe_same_files(self) -> str:
        if not self.same_files:
            return ""
        first = self.images[0]
        if self.same_files == 1 and first.has_owner:
            return _("You already have this image on %(owner)s.") % {"owner": first.title}
        message = ngettext(
            "You already have this image.", "You already have this image: %(count)s copies.", self.same_files
        )
        return message % {"count": _at_least(self.same_files)}

    def _describe_near_duplicates(self) -> str:
        count = self.near_duplicates
        if not count:
            return ""
        if self.same_files:
            message = ngettext("%(count)s more looks almost the same.", "%(count)s more look almost the same.", count)
        else:
            message = ngettext(
                "This looks almost the same as an image that you already have.",
                "This looks almost the same as %(count)s images that you already have.",
                count,
            )
        return message % {"count": _at_least(count)}


def make_notice(
    field: AdminImageField,
    data: bytes | None,
    excluded: Iterable[Any] = (),
    *,
    sha256: str = "",
    timeout: float | None = None,
) -> UploadNotice:
    """Return the notice about a file; it never fails, but says less.

    Args:
        field: the field that the file is chosen for.
        data: the file; None where it is too large to be described now, or was not sent.
        excluded: primary keys of the field's objects that are no news, such as the one that is changed.
        sha256: hash of the file, which is computed where it is not given.
        timeout: seconds that describing the image may take, and each statement; those of a request by default.
    """
    excluded = list(excluded)
    same_files: list[KnownImage] = []
    near_duplicates: list[KnownImage] = []
    problem = ""
    try:
        sha256 = sha256 or sha256_of(data or b"")
        same_files = find_same_files(field.source, sha256, field.objects, excluded, timeout=timeout)
        if data is not None:
            access.check_rate(field.request)
            near_duplicates = find_near_duplicates(
                field.source, data, same_files, field.objects, excluded, timeout=timeout
            )
    except TooManyPixels:
        problem = _describe_too_many_pixels()
    except UnreadableImage as error:
        problem = str(error)
    except PlainImage:
        problem = _("This image is too plain to be told apart from others.")
    except (SearchTimeout, access.RateExceeded, DatabaseError) as error:
        logger.warning("A file that is uploaded in the admin was not looked up: %r", error)
        problem = _("We could not look for images that are almost the same right now.")
    return replace(_show(field, same_files, near_duplicates), problem=problem)


def _show(
    field: AdminImageField, same_files: Iterable[KnownImage], near_duplicates: Iterable[KnownImage] = ()
) -> UploadNotice:
    """Return a notice of those of the images that the user may see."""
    same, near = (
        list(islice((known for known in found if field.can_view(known.object)), MAX_COUNTED))
        for found in (same_files, near_duplicates)
    )
    found = [*same, *near]
    sizes = {(known.width, known.height) for known in found}
    largest = max(found, key=lambda known: known.pixels, default=None)
    return UploadNotice(
        images=_describe_images(field, found[:MAX_NOTICE_IMAGES]),
        same_files=len(same),
        near_duplicates=len(near),
        largest=(largest.width or 0, largest.height or 0) if largest and largest.pixels and len(sizes) > 1 else None,
    )


def _describe_images(field: AdminImageField, found: Sequence[KnownImage]) -> list[NoticeImage]:
    source = field.source
    items = [known.object for known in found]
    owners = _load_owners(field, items)
    thumbnails = source.make_thumbnails(items) if source.thumbnail else None
    images = []
    for known in found:
        item = known.object
        owner = owners.get(item.pk)
        images.append(
            NoticeImage(
                known=known,
                title=source.get_title(owner) if owner is not None else str(item),
                has_owner=owner is not None,
                url=field.url_of(item),
                file=getattr(item, source.field_name),
                thumbnails=thumbnails,
            )
        )
    return images


def _load_owners(field: AdminImageField, items: Sequence[Any]) -> dict[Any, Any]:
    """Return the owners of objects, by the objects' primary keys, without those that the user may not see."""
    source, request = field.source, field.request
    if source.ownership is None:
        return {}
    site = field.model_admin.admin_site
    owner_models = source.ownership.owner_models
    admins = {model: site.get_model_admin(model) for model in owner_models if site.is_registered(model)}
    listed = [own_admin.get_queryset(request) for own_admin in admins.values()]
    listed += [
        model._default_manager.all()
        for model in owner_models
        if model not in admins and permissions.can_view_model(request, model._meta.app_label, model._meta.model_name)
    ]
    owners = source.load_results(items, listed)
    return {
        pk: owner
        for pk, owner in owners.items()
        if type(owner) not in admins or admins[type(owner)].has_view_or_change_permission(request, owner)
    }


def _describe_too_many_pixels() -> str:
    """Return what an editor may do with an image that is too large to be looked up, and what becomes of it."""
    limits = (conf.get().search_max_pixels, conf.get().max_pixels)
    looked_up, indexed = (number_format(count, force_grouping=True) for count in limits)
    unchecked = _("You can save this image, but we can't check it for copies first: it has more than %(limit)s pixels.")
    unindexed = _("If it has more than %(limit)s pixels, it won't be found as a similar image either.")
    return f"{unchecked % {'limit': looked_up}} {unindexed % {'limit': indexed}}"


def _at_least(count: int) -> str:
    return f"{count}+" if count >= MAX_COUNTED else str(count)
