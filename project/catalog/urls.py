from django.urls import path

from project.catalog import views

app_name = "catalog"

urlpatterns = [
    path("", views.ProductList.as_view(), name="products"),
    path("categories/<slug:slug>/", views.ProductList.as_view(), name="category"),
    path("products/<slug:slug>/", views.ProductDetail.as_view(), name="product"),
    path("developers/", views.Developers.as_view(), name="developers"),
]
