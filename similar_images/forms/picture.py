"""A picture by which editors of a content management system search: read once, and kept for the pages of results."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import visitor_files
from ..imaging import decode
from ..imaging.timeouts import SearchTimeout
from ..search.matches import similar_to
from ..sources.source import ImageSource
from .uploads import validate_upload_size


class PictureForm(forms.Form):
    """Takes an image file; `token` is the one by which `visitor_files.load_upload` returns it for ten minutes."""

    image = forms.FileField(
        label=gettext_lazy("Image"), widget=forms.FileInput(attrs={"accept": "image/*"}), allow_empty_file=False
    )
    token = ""

    def __init__(self, *args: Any, request: HttpRequest, source: ImageSource, **kwargs: Any) -> None:
        """Take the request of the editor, and what is searched."""
        self.request, self.source = request, source
        super().__init__(*args, **kwargs)

    def clean_image(self) -> Any:
        """Return the image, if one can search by it."""
        image = validate_upload_size(self.cleaned_data["image"])
        model, field = self.source.model, self.source.field_name
        try:
            similar_to(image, model=model, field=field, request=self.request, for_editors=True, limit=1)
        except (decode.UnreadableImage, SearchTimeout) as error:
            raise forms.ValidationError(str(error)) from None
        self.token = visitor_files.keep_upload(image, self.request)
        if not self.token:
            raise forms.ValidationError(_("The image could not be kept. Please try again."))
        return image
