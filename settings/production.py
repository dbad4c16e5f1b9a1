"""Real use. Refuses to start with what would be unsafe, and says what to set."""

from __future__ import annotations

from settings import env
from settings.base import *  # noqa: F403
from settings.base import ALLOWED_HOSTS, FIELD_KEYS, SECRET_KEY, logging_config

if len(SECRET_KEY) < 50:
    raise env.bad(
        "SECRET_KEY",
        "it is missing or shorter than 50 characters" if len(SECRET_KEY) < 50 else "",
        "Make one with python -c 'from django.core.management.utils import get_random_secret_key as k; print(k())'",
    )
if not FIELD_KEYS:
    raise env.bad(
        "FIELD_KEYS",
        "it is missing: secrets could not be encrypted",
        "Make a key with python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
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
