"""Secret texts of playbooks, which stood in their definitions, sealed and in a table of their own."""

import django.db.models.deletion
from django.db import migrations, models

import core.secrets
from core import secrets
from warmup.playbooks import secret_texts
from warmup.playbooks.schema import parse_playbook


def seal(apps, schema_editor):
    Playbook = apps.get_model("warmup", "Playbook")
    PlaybookSecret = apps.get_model("warmup", "PlaybookSecret")
    for playbook in Playbook.objects.all():
        definition, texts = secret_texts.hide(playbook.definition)
        if texts:
            row = PlaybookSecret(playbook=playbook)
            row.texts = secrets.encrypt_json(texts, secrets.place_of(row, "texts"))
            row.save()
            playbook.definition, playbook.digest = definition, parse_playbook(definition).digest()
            playbook.save(update_fields=["definition", "digest"])


class Migration(migrations.Migration):
    dependencies = [("warmup", "0003_schedules")]

    operations = [
        migrations.CreateModel(
            name="PlaybookSecret",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("texts", core.secrets.SealedField(bound_to=("playbook_id",))),
                (
                    "playbook",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="secret",
                        to="warmup.playbook",
                    ),
                ),
            ],
            options={"verbose_name": "secret texts", "verbose_name_plural": "secret texts"},
        ),
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
