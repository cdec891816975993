"""A test of a host's, which its own test runner runs on a test database that it creates."""

from django.core.management import call_command
from django.test import TestCase

import similar_images
from tests import drawing
from tests.testapp.models import Picture


class SearchTest(TestCase):
    def test_search(self) -> None:
        items = [Picture.objects.create(image=drawing.file(1)) for _ in range(2)]
        call_command("index_images", sync=True, verbosity=0)
        assert [match.object for match in similar_images.similar_to(items[0])] == items[1:]
