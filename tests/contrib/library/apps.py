"""The configuration of the CMS."""

from django.apps import AppConfig

from similar_images import registry


class LibraryConfig(AppConfig):
    """Registers the images; a site that registers them itself takes precedence, option by option."""

    name = "tests.contrib.library"
    label = "library"

    def ready(self) -> None:
        """Register the source."""
        registry.register_defaults(
            self.get_model("Asset"),
            "file",
            visible="tests.contrib.library.access.visible_assets",
            policy="tests.contrib.library.access.AssetPolicy",
            url=lambda asset: asset.file.url,
        )
