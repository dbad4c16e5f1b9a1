"""Real use. Refuses to start with what would be unsafe, and says what to set."""

from __future__ import annotations

from settings import env
from settings.base import *  # noqa: F403
from settings.base import ALLOWED_HOSTS, FIELD_KEYS, SECRET_KEY, logging_config

if len(SECRET_KEY) < 50:
    raise env.bad(
        "SECRET_KEY",
        "it is missing or shorter than 50 characters",
        f"Make one with {env.MAKE_SECRET_KEY}",
    )
if not FIELD_KEYS:
    raise env.bad(
        "FIELD_KEYS",
        "it is missing, so that secrets could not be encrypted",
        f"Make a key with {env.MAKE_FIELD_KEY}",
    )
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    raise env.bad(
        "ALLOWED_HOSTS",
        "it is missing or a wildcard",
        "Name the hosts that the admin is served under, comma-separated",
    )

SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_REFERRER_POLICY = "same-origin"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LOGGING = logging_config("json")
