"""Real use. Refuses to start with what would be unsafe, and says what to set."""

from __future__ import annotations

import os

from settings import env
from settings.base import *  # noqa: F403
from settings.base import (
    ALLOWED_HOSTS,
    FIELD_KEYS,
    Q_BROKER_URL,
    SECRET_KEY,
    TRUSTED_PROXIES,
    WARMUP_ALLOW_ROOT,
    logging_config,
)

if len(SECRET_KEY) < 50:
    raise env.bad(
        "SECRET_KEY",
        "it is missing or shorter than 50 characters",
        f"Make one with {env.MAKE_SECRET_KEY}",
    )
# As Django's own security.W009 has it.
if SECRET_KEY.startswith("django-insecure-") or len(set(SECRET_KEY)) < 5:
    raise env.bad(
        "SECRET_KEY",
        "it is a default, or no random text",
        f"Make one with {env.MAKE_SECRET_KEY}",
    )
if not FIELD_KEYS:
    raise env.bad(
        "FIELD_KEYS",
        "it is missing, so that secrets could not be encrypted",
        f"Make a key with {env.MAKE_FIELD_KEY}",
    )
if not ALLOWED_HOSTS or any("*" in host or not host.strip(".") for host in ALLOWED_HOSTS):
    raise env.bad(
        "ALLOWED_HOSTS",
        "it is missing or a wildcard",
        "Name the hosts that the admin is served under, comma-separated",
    )
if env.boolean("DEBUG", False):
    raise env.bad(
        "DEBUG",
        "it is set, and debug pages show what nobody should see",
        "Unset it, or use settings.local",
    )
if not env.redis_is_guarded(Q_BROKER_URL):
    raise env.bad(
        "Q_BROKER_URL",
        "whoever reaches this Redis can read and write the queue: it names no password",
        "Use redis://:password@host:6379/0 or unix:///run/redis/redis.sock, or unset it for the database",
    )
if os.geteuid() == 0 and not WARMUP_ALLOW_ROOT:
    raise env.bad(
        "WARMUP_ALLOW_ROOT",
        "this runs as root, and Chromium would run without its sandbox",
        "Run it as a user of its own, or set WARMUP_ALLOW_ROOT=true to accept that",
    )

SECURE_SSL_REDIRECT = True
# Believed only where a proxy is said to set it; gunicorn by itself believes one on the same machine.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# The prefix makes browsers refuse such a cookie from other hosts of the domain, and without HTTPS.
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
SECURE_REFERRER_POLICY = "same-origin"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LOGGING = logging_config("json")
