"""URLs: the admin is the product's face."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from warmup.views import own_password

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/password_change/", admin.site.admin_view(own_password, cacheable=True), name="own_password"),
    path("admin/", admin.site.urls),
]
