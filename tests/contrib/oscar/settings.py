"""A shop with Oscar, which forks the catalog of the dashboard where OSCAR_FORK says so."""

import os

from oscar.defaults import *  # noqa: F403

from similar_images.contrib.oscar.navigation import NAVIGATION
from tests.contrib.site_settings import *  # noqa: F403 - what all sites share
from tests.contrib.site_settings import DJANGO_APPS, MIDDLEWARE, make_templates

DASHBOARD = "tests.contrib.oscar.dashboard" if os.environ.get("OSCAR_FORK") else "oscar.apps.dashboard"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.sites",
    *DJANGO_APPS,
    "django.contrib.flatpages",
    "oscar.config.Shop",
    "oscar.apps.analytics.apps.AnalyticsConfig",
    "oscar.apps.checkout.apps.CheckoutConfig",
    "oscar.apps.address.apps.AddressConfig",
    "oscar.apps.shipping.apps.ShippingConfig",
    "oscar.apps.catalogue.apps.CatalogueConfig",
    "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    "oscar.apps.communication.apps.CommunicationConfig",
    "oscar.apps.partner.apps.PartnerConfig",
    "oscar.apps.basket.apps.BasketConfig",
    "oscar.apps.payment.apps.PaymentConfig",
    "oscar.apps.offer.apps.OfferConfig",
    "oscar.apps.order.apps.OrderConfig",
    "oscar.apps.customer.apps.CustomerConfig",
    "oscar.apps.search.apps.SearchConfig",
    "oscar.apps.voucher.apps.VoucherConfig",
    "oscar.apps.wishlists.apps.WishlistsConfig",
    f"{DASHBOARD}.apps.DashboardConfig",
    "oscar.apps.dashboard.reports.apps.ReportsDashboardConfig",
    "oscar.apps.dashboard.users.apps.UsersDashboardConfig",
    "oscar.apps.dashboard.orders.apps.OrdersDashboardConfig",
    f"{DASHBOARD}.catalogue.apps.CatalogueDashboardConfig",
    "oscar.apps.dashboard.offers.apps.OffersDashboardConfig",
    "oscar.apps.dashboard.partners.apps.PartnersDashboardConfig",
    "oscar.apps.dashboard.pages.apps.PagesDashboardConfig",
    "oscar.apps.dashboard.ranges.apps.RangesDashboardConfig",
    "oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig",
    "oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig",
    "oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig",
    "oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig",
    "widget_tweaks",
    "haystack",
    "treebeard",
    "sorl.thumbnail",
    "django_tables2",
    "similar_images.contrib.oscar",
    "similar_images",
]
MIDDLEWARE = [*MIDDLEWARE, "oscar.apps.basket.middleware.BasketMiddleware"]
# Their tables are made of the models: migrating takes longer than all tests.
LABELS = ("admin", "auth", "contenttypes", "sessions", "sites", "flatpages", "thumbnail")
SHOP = ("analytics", "address", "shipping", "catalogue", "reviews", "communication", "partner", "basket", "payment")
MIGRATION_MODULES = dict.fromkeys([*LABELS, *SHOP, "offer", "order", "customer", "voucher", "wishlists"])

DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
SITE_ID = 1
ROOT_URLCONF = "tests.contrib.oscar.urls"
AUTHENTICATION_BACKENDS = [
    "oscar.apps.customer.auth_backends.EmailBackend",
    "django.contrib.auth.backends.ModelBackend",
]
TEMPLATES = make_templates(
    "oscar.apps.search.context_processors.search_form",
    "oscar.apps.checkout.context_processors.checkout",
    "oscar.apps.communication.notifications.context_processors.notifications",
    "oscar.core.context_processors.metadata",
    DIRS=[os.path.join(os.path.dirname(__file__), "templates")],
)
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
OSCAR_DASHBOARD_NAVIGATION.append(NAVIGATION)  # noqa: F405
