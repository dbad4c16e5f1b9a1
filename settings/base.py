"""Settings that hold everywhere. What depends on the place is in local, production and test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.templatetags.static import static

from settings import env

env.read_env_file()

BASE_DIR = env.BASE_DIR
WARMUP_DATA_DIR = env.directory("WARMUP_DATA_DIR", BASE_DIR / "var")

# ---- warm-ups; the unit is in the name ---------------------------------------------------------

WARMUP_BROWSER_EXECUTABLE = env.executable("WARMUP_BROWSER_EXECUTABLE")
WARMUP_BROWSER_ENDPOINT = env.endpoint("WARMUP_BROWSER_ENDPOINT")
WARMUP_CONTEXTS_PER_WORKER = env.integer(
    "WARMUP_CONTEXTS_PER_WORKER", 8, low=1, high=64, unit="browser contexts"
)
WARMUP_SLICE_SECONDS = env.integer("WARMUP_SLICE_SECONDS", 240, low=5, high=3600, unit="seconds")
WARMUP_LEASE_SECONDS = env.integer("WARMUP_LEASE_SECONDS", 60, low=5, high=600, unit="seconds")
WARMUP_HEARTBEAT_SECONDS = env.integer("WARMUP_HEARTBEAT_SECONDS", 10, low=1, high=120, unit="seconds")
WARMUP_MAX_ATTEMPTS = env.integer("WARMUP_MAX_ATTEMPTS", 3, low=1, high=100, unit="attempts")
WARMUP_STEP_TIMEOUT_SECONDS = env.integer("WARMUP_STEP_TIMEOUT_SECONDS", 30, low=1, high=120, unit="seconds")
WARMUP_ARTIFACT_RETENTION_DAYS = env.integer(
    "WARMUP_ARTIFACT_RETENTION_DAYS", 30, low=1, high=3650, unit="days"
)
WARMUP_ARTIFACT_QUOTA_MIB = env.integer("WARMUP_ARTIFACT_QUOTA_MIB", 2048, low=1, high=10_000_000, unit="MiB")
WARMUP_ARTIFACT_FREE_MIB = env.integer("WARMUP_ARTIFACT_FREE_MIB", 256, low=0, high=10_000_000, unit="MiB")
# Accept that Chromium runs without its sandbox, as it must for root.
WARMUP_ALLOW_ROOT = env.boolean("WARMUP_ALLOW_ROOT", False)

# ---- Django --------------------------------------------------------------------------------------

SECRET_KEY = env.text("SECRET_KEY")
FIELD_KEYS = env.field_keys("FIELD_KEYS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
DEBUG = False

INSTALLED_APPS = [
    "core",
    "warmup",  # before django_q: its `qcluster` command takes the place of django-q2's
    "unfold",
    "unfold.contrib.import_export",  # before import_export: its templates take the place of those
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "import_export",
    "axes",
    "django_q",
]

MIDDLEWARE = [
    "core.content_policy.ContentPolicyMiddleware",  # first: it sees every answer
    "core.client.ClientAddressMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "core.sessions.SessionLimitsMiddleware",
    "warmup.refusals.RefusalMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

# No inline script, event handler or style sheet; docs/adr/0007 says what unfold forces.
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'"],
    "style-src-attr": ["'unsafe-inline'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}

DEFAULT_EXCEPTION_REPORTER_FILTER = "core.debug_pages.NamesOnly"

ROOT_URLCONF = "settings.urls"
WSGI_APPLICATION = "settings.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.database("DATABASE_URL", WARMUP_DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- people: log-ins and sessions -----------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: what is locked is not evaluated
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # unfold's log-in form says nothing of where to go

# How many proxies in front add to X-Forwarded-For; by default no header is believed.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0, low=0, high=5, unit="proxies")

# The rules are in core/throttle.py.
AXES_HANDLER = "core.throttle.Handler"
AXES_LOCKOUT_PARAMETERS = "core.throttle.lockout_parameters"
AXES_USERNAME_CALLABLE = "core.throttle.stored_name"
AXES_CLIENT_IP_CALLABLE = "core.throttle.throttled_address"
AXES_CLIENT_STR_CALLABLE = "core.throttle.client_text"
AXES_LOCKOUT_CALLABLE = "core.throttle.answer"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=30)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]  # and the password, always
AXES_ENABLE_ADMIN = False  # the pages are ours
AXES_VERBOSE = False

# What ends a session besides the browser's end; see core/sessions.py.
SESSION_IDLE_MINUTES = env.integer("SESSION_IDLE_MINUTES", 60, low=5, high=1440, unit="minutes")
SESSION_MAX_HOURS = env.integer("SESSION_MAX_HOURS", 12, low=1, high=168, unit="hours")
SESSION_COOKIE_AGE = SESSION_MAX_HOURS * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# An upload stays in memory: it may hold secrets, and no temporary file shall. A larger one is not kept.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024  # bytes

STATIC_URL = "static/"
STATIC_ROOT = WARMUP_DATA_DIR / "static"

# ---- the queue -------------------------------------------------------------------------------------

Q_BROKER_URL = env.redis_url("Q_BROKER_URL")
QCLUSTER_WORKERS = env.integer("QCLUSTER_WORKERS", 2, low=1, high=64, unit="worker processes")

# What a slice may need after its deadline: a step in progress, saving states, closing a browser.
WARMUP_CLEANUP_SECONDS = 45
_Q_TIMEOUT = WARMUP_SLICE_SECONDS + WARMUP_STEP_TIMEOUT_SECONDS + WARMUP_CLEANUP_SECONDS + 30

Q_CLUSTER: dict[str, Any] = {
    "name": "warmup",
    "workers": QCLUSTER_WORKERS,
    # `retry` counts from the moment that a job is prefetched; with one prefetched job this bound gave
    # no double delivery.
    "queue_limit": 1,
    "bulk": 1,
    "timeout": _Q_TIMEOUT,
    "retry": 3 * (_Q_TIMEOUT + 3) + 60,
    "max_attempts": 1,
    "ack_failures": True,
    "recycle": 50,
    "catch_up": False,
    "save_limit": 250,
    "poll": 0.5,
    "ALT_CLUSTERS": {},
    "label": "Queue",
    # Ours check a message before django-q2 unpickles it.
    "broker_class": "warmup.queue.RedisBroker" if Q_BROKER_URL else "warmup.queue.DatabaseBroker",
}
if Q_BROKER_URL:
    Q_CLUSTER["redis"] = Q_BROKER_URL
else:
    Q_CLUSTER["orm"] = "default"

# django-q2 keeps its cluster statistics in the cache: it must be one that all processes share.
CACHES = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": Q_BROKER_URL,
            "OPTIONS": {"serializer": "core.caches.PlainRedisSerializer"},
        }
        if Q_BROKER_URL
        else {"BACKEND": "core.caches.PlainDatabaseCache", "LOCATION": "django_cache"}
    )
}

# ---- the admin -----------------------------------------------------------------------------------

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Warm-up",
    "SITE_HEADER": "Warm-up",
    "SITE_SYMBOL": "local_fire_department",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "warmup.admin.navigation.sidebar"},
    # In a sheet of ours, and not in a style element on each page.
    "COLORS": lambda _: {},
    "STYLES": [lambda _: static("warmup/theme.css"), lambda _: static("warmup/admin.css")],
    "SCRIPTS": [lambda _: static("warmup/htmx.js")],
    "LOGIN": {"form": "core.throttle.LogInForm"},
}

# ---- logs: JSON lines in production, columns for people elsewhere -------------------------------

LOG_FORMAT = "console"


def logging_config(style: str) -> dict[str, Any]:
    """Django's LOGGING through structlog; `style` is `json` or `console`."""
    import structlog

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=24)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                # Plain tracebacks: the pretty ones show local variables, and those hold secrets.
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # The qcluster command turns this up again; elsewhere it would talk into people's commands.
            "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "axes": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }


LOGGING = logging_config(LOG_FORMAT)
