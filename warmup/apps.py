from django.apps import AppConfig


class WarmupConfig(AppConfig):
    name = "warmup"
    verbose_name = "Warm-ups"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from warmup import queue

        queue.disarm()
