from django.apps import AppConfig
from django.db.models.signals import post_migrate


class WarmupConfig(AppConfig):
    name = "warmup"
    verbose_name = "Warm-ups"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from warmup import append_only, queue, refusals, roles

        post_migrate.connect(append_only.after_migrate, sender=self)
        post_migrate.connect(roles.after_migrate, sender=self)
        refusals.watch_log_ins()
        queue.disarm()
