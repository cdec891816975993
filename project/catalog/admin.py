from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from project.catalog.models import Category, Product, ProductImage
from similar_images.admin import SimilarImagesMixin


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ("name", "slug")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}


class ProductImageInline(admin.TabularInline):
    model = ProductImage
    fields = ("image", "position")
    extra = 0


@admin.register(Product)
class ProductAdmin(SimilarImagesMixin, admin.ModelAdmin):
    inlines = (ProductImageInline,)
    list_display = ("thumbnail", "name", "category", "price", "published", "created")
    list_display_links = ("thumbnail", "name")
    list_editable = ("published",)
    list_filter = ("published", "category")
    list_select_related = ("category",)
    list_per_page = 50
    search_fields = ("name", "description")
    prepopulated_fields = {"slug": ("name",)}

    @admin.display(description=_("photo"))
    def thumbnail(self, product: Product) -> SafeString:
        return format_html('<img src="{}" alt="" height="48" loading="lazy">', product.photo.url)
