from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Sites and accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import checks, sessions  # noqa: F401 - they register system checks, and begin sessions
