"""What happened: steps, log, artifacts, daily counts, audit. To look at only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from core.admin import EmptyState, ReadOnlyAdmin, duration, moment
from warmup.admin.display import level_badge, link, step_badge
from warmup.models import Artifact, AuditEntry, ClusterPulse, DailyCount, LogLine, StepRecord
from warmup.views import artifact_file


class LongListAdmin(ReadOnlyAdmin):
    """Millions of rows: pages without a total."""

    paginator = InfinitePaginator
    show_full_result_count = False


@admin.register(StepRecord)
class StepAdmin(LongListAdmin):
    list_display = ("index", "label", "result_cell", "detail", "attempt", "run_cell", "started", "took")
    list_display_links = ("label",)
    list_select_related = ("run__account", "run__task")
    list_filter = ("result", "do")
    search_fields = ("label", "detail")
    fields = ("run", "attempt", "index", "place", "do", "label", "result", "detail", "started_at", "ended_at")
    readonly_fields = fields
    empty_state = EmptyState(
        _("No steps yet"), _("They appear here while runs walk through their playbooks.")
    )

    @admin.display(description=_("result"), ordering="result")
    def result_cell(self, step: StepRecord) -> str:
        return step_badge(step.result)

    @admin.display(description=_("run"))
    def run_cell(self, step: StepRecord) -> str:
        return link(step.run)

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, step: StepRecord) -> str:
        return moment(step.started_at)

    @admin.display(description=_("took"))
    def took(self, step: StepRecord) -> str:
        return duration((step.ended_at - step.started_at).total_seconds() if step.ended_at else None)


@admin.register(LogLine)
class LogAdmin(LongListAdmin):
    list_display = ("when", "level_cell", "event", "text", "task_cell", "run_cell")
    list_select_related = ("task", "run__account", "run__task")
    list_filter = ("level", "event")
    search_fields = ("text", "run__account__username", "task__name")
    ordering = ("-pk",)
    fields = ("at", "level", "event", "text", "task", "run")
    readonly_fields = fields
    empty_state = EmptyState(_("Nothing in the log yet"), _("Runs write here what happens to them."))

    @admin.display(description=_("time"), ordering="pk")
    def when(self, line: LogLine) -> str:
        return moment(line.at)

    @admin.display(description=_("level"), ordering="level")
    def level_cell(self, line: LogLine) -> str:
        return level_badge(line.level)

    @admin.display(description=_("task"))
    def task_cell(self, line: LogLine) -> str:
        return link(line.task)

    @admin.display(description=_("account"))
    def run_cell(self, line: LogLine) -> str:
        return link(line.run, line.run.account) if line.run else link(None)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "run_cell", "attempt", "step", "size_bytes", "made", "file")
    list_select_related = ("run__account", "run__task")
    list_filter = ("kind",)
    search_fields = ("name", "run__account__username", "run__task__name")
    ordering = ("-created_at",)
    fields = ("name", "kind", "run", "attempt", "step", "size_bytes", "created_at", "file")
    readonly_fields = fields
    empty_state = EmptyState(
        _("No artifacts yet"), _("Screenshots, and the page of a failure, are kept here with their runs.")
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artifact]:
        artifacts: Any = super().get_queryset(request)
        visible: QuerySet[Artifact] = artifacts.visible_to(request.user)
        return visible

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(artifact_file)
        return [path("<str:name>/file/", view, name="warmup_artifact_file"), *super().get_urls()]

    @admin.display(description=_("run"))
    def run_cell(self, artifact: Artifact) -> str:
        return link(artifact.run)

    @admin.display(description=_("created"), ordering="created_at")
    def made(self, artifact: Artifact) -> str:
        return moment(artifact.created_at)

    @admin.display(description=_("file"))
    def file(self, artifact: Artifact) -> str:
        url = reverse("admin:warmup_artifact_file", args=[artifact.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("open"))


@admin.register(DailyCount)
class DailyCountAdmin(ReadOnlyAdmin):
    list_display = ("day", "account", "name", "used")
    list_display_links = ("account",)
    list_select_related = ("account",)
    search_fields = ("account__username", "name")
    ordering = ("-day", "account__username", "name")
    fields = ("account", "day", "name", "used")
    readonly_fields = fields
    empty_state = EmptyState(
        _("Nothing counted yet"), _("Steps that count against a daily limit of their site are counted here.")
    )


@admin.register(AuditEntry)
class AuditAdmin(LongListAdmin):
    list_display = ("when", "actor_name", "verb", "kind", "object", "count", "reason", "address")
    list_display_links = None
    list_filter = ("verb", "kind")
    search_fields = ("actor_name", "object", "reason", "address")
    fields = (
        "at",
        "actor_name",
        "address",
        "verb",
        "kind",
        "object_key",
        "object",
        "task_key",
        "count",
        "reason",
    )
    readonly_fields = fields
    empty_state = EmptyState(
        _("Nothing done yet"), _("Each change, and each refusal, leaves a line here: who, what, when, why.")
    )

    @admin.display(description=_("time"), ordering="pk")
    def when(self, entry: AuditEntry) -> str:
        return moment(entry.at)


@admin.register(ClusterPulse)
class ClusterPulseAdmin(ReadOnlyAdmin):
    list_display = ("name", "beat")
    ordering = ("-beat_at",)
    fields = ("name", "beat_at")
    readonly_fields = fields
    empty_state = EmptyState(_("No cluster has been seen yet"), _("Start the workers:"), "manage.py qcluster")

    @admin.display(description=_("last sign of life"), ordering="beat_at")
    def beat(self, pulse: ClusterPulse) -> str:
        return moment(pulse.beat_at)
