"""The page of a product in Oscar's dashboard: similar products, and a notice of images that other products have."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.loader import select_template
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from oscar.core.loading import get_model

import similar_images

from ... import conf, registry
from ...imaging.decode import UnreadableImage
from ...imaging.files import read_bounded
from ...imaging.timeouts import SearchTimeout
from ...models import IndexedImage
from ...permissions import get_policy
from ...search.known_images import KnownImage, find_known_images
from ...search.matches import Match
from ...sources.source import ImageSource
from .access import dashboard_products, get_family_head

PAGE_TEMPLATE = "similar_images/oscar/product_update.html"
"""Template of the page, which extends the one of the shop."""

MAX_PANEL_PRODUCTS = 12
"""Products in the panel, at most."""

MAX_REPORT_SECONDS = 1
"""Seconds that the answer to a save may wait for what is said about its images."""

MIN_LOOKUP_SECONDS = 0.001
"""Seconds that have to be left for a lookup: PostgreSQL takes less than a millisecond for no limit."""

MAX_UPLOADS = 3
"""Images of one save that are looked up."""

MAX_LINKS = 3
"""Products that are named for an image."""


def get_image_source() -> ImageSource:
    """Return the source of product images."""
    return registry.get_source(get_model("catalogue", "ProductImage"), "original")


@dataclass(frozen=True)
class SimilarProductsPanel:
    """Products whose images look like those of a product and its variants, of those that the user may see.

    Attributes:
        product: the product.
        request: that of the user.
    """

    product: Any
    request: HttpRequest

    @cached_property
    def matches(self) -> Sequence[Match]:
        """The products, best first."""
        options = {"limit": MAX_PANEL_PRODUCTS, "fold": False, "min_similarity": conf.get().min_similarity_on("page")}
        products = dashboard_products(self.request)
        try:
            return similar_images.similar_to(
                self._head, request=self.request, for_editors=True, queryset=products, field="original", **options
            )
        except (SearchTimeout, UnreadableImage):
            return []

    @property
    def status(self) -> str:
        """The status of the best of the images, or "missing"."""
        source = get_image_source()
        images = source.images_of(self._head, get_policy(source).viewable(self.request))
        return str(IndexedImage.objects.get_status(source, *(image.pk for image in images)))

    @property
    def _head(self) -> Any:
        return get_family_head(self.product)


class Upload(NamedTuple):
    """A file of the page's form."""

    name: str
    data: bytes


class SimilarProductsMixin:
    """Adds the panel and the notice to the view of a product."""

    request: HttpRequest
    object: Any

    def get_template_names(self) -> list[str]:
        """Return the template that extends the one of the shop."""
        return [PAGE_TEMPLATE]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view's context, with the template of the shop and the panel of a product that exists."""
        parent: Any = super()
        context: dict[str, Any] = parent.get_context_data(**kwargs)
        panel = SimilarProductsPanel(self.object, self.request) if self.object else None
        return {**context, "product_page": select_template(parent.get_template_names()), "similar_products": panel}

    def forms_valid(self, form: Any, formsets: dict[str, Any]) -> HttpResponse:
        """Save the product, and tell of products that have its new images already."""
        parent: Any = super()
        uploads = list(_read_uploads(formsets.values()))  # before a storage moves them away
        response: HttpResponse = parent.forms_valid(form, formsets)
        report_copies(self.request, self.object, uploads)
        return response


def extend_product_view(view: type[Any]) -> type[Any]:
    """Return the view of a product with the panel and the notice."""
    if issubclass(view, SimilarProductsMixin):
        return view
    return type(view.__name__, (SimilarProductsMixin, view), {})


def _read_uploads(formsets: Iterable[Any]) -> Iterator[Upload]:
    """Yield the first new images of a form, without those that are too large to be looked up at once."""
    model, max_bytes, count = get_model("catalogue", "ProductImage"), conf.get().search_max_bytes, 0
    for formset in formsets:
        forms = [form for form in formset.forms if form not in formset.deleted_forms]
        for form in forms if issubclass(formset.model, model) else ():
            file = form.cleaned_data.get("original")
            if isinstance(file, UploadedFile) and file.size and file.size <= max_bytes and count < MAX_UPLOADS:
                count += 1
                yield Upload(str(file.name), read_bounded(file, max_bytes=max_bytes))
                file.seek(0)


def report_copies(request: HttpRequest, product: Any, uploads: Iterable[Upload]) -> None:
    """Tell the user which other products have images that were just saved; it never fails, but says less."""
    end = time.monotonic() + MAX_REPORT_SECONDS
    for upload in uploads:
        if (seconds := end - time.monotonic()) < MIN_LOOKUP_SECONDS:
            return
        if copies := _find_copies(request, product, upload.data, seconds):
            messages.warning(request, _describe_copies(upload.name, copies))


def _find_copies(request: HttpRequest, product: Any, data: bytes, seconds: float) -> list[KnownImage]:
    """Return the images of other products that a file repeats, of those that the user may see, best first."""
    source, head = get_image_source(), get_family_head(product)
    is_of_family = Q(product=head) | Q(product__parent=head)
    objects = get_policy(source).viewable(request).exclude(is_of_family).select_related("product__parent")
    return find_known_images(source, data, objects, timeout=seconds)


def _describe_copies(name: str, copies: Sequence[KnownImage]) -> SafeString:
    """Return what a file repeats in a sentence or two, with links to the pages of the products."""
    same = dict.fromkeys(known.object.product for known in copies if known.is_same_file)
    near = dict.fromkeys(known.object.product for known in copies if known.object.product not in same)
    sentences = [
        format_html(sentence, name=name, products=_link_products(list(products)[:MAX_LINKS]))
        for sentence, products in (
            (_("“{name}” is already an image of {products}."), same),
            (_("“{name}” looks almost the same as an image of {products}."), near),
        )
        if products
    ]
    return format_html_join(" ", "{}", ((sentence,) for sentence in sentences))


def _link_products(products: Sequence[Any]) -> SafeString:
    links = ((reverse("dashboard:catalogue-product", args=[product.pk]), str(product)) for product in products)
    return format_html_join(", ", '<a href="{}">{}</a>', links)
