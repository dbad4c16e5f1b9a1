"""Import and export of accounts in the admin: django-import-export's pages around `warmup.transfer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from import_export import fields, resources
from import_export.admin import ImportExportMixin
from import_export.formats.base_formats import Format
from import_export.forms import ConfirmImportForm
from unfold.contrib.import_export.forms import ExportForm, ImportForm

from core.errors import InvalidInput
from core.permissions import may_use_secrets
from warmup import audit
from warmup.admin.confirm import actor
from warmup.admin.import_store import SealedStorage
from warmup.audit import Actor
from warmup.transfer import accounts
from warmup.transfer.accounts import Plan
from warmup.transfer.columns import EXPORTED, IMPORTED, Table
from warmup.transfer.csv_file import read_csv, write_csv
from warmup.transfer.json_file import read_json, write_json
from warmup.transfer.writing import CHANGED, CREATED, SAME, Change

PREVIEWED = 100  # accounts
KINDS = {CREATED: _("new"), CHANGED: _("changed"), SAME: _("the same")}

# ---- formats --------------------------------------------------------------------------------------


class AccountFormat(Format):  # type: ignore[misc]  # django-import-export is not typed
    """A kind of file. The page finds the kind by a file's suffix, which is why titles are suffixes."""

    title = ""
    content_type = ""

    def __init__(self, encoding: str | None = None) -> None:
        """`encoding` is not used: what a file is encoded in is told from its content."""

    def get_title(self) -> str:
        return self.title

    def get_extension(self) -> str:
        return self.title

    def get_content_type(self) -> str:
        return self.content_type

    def can_import(self) -> bool:
        return True

    def can_export(self) -> bool:
        return True


class AccountCSV(AccountFormat):
    title = "csv"
    content_type = "text/csv; charset=utf-8"

    def create_dataset(self, in_stream: bytes) -> Table:
        return read_csv(in_stream)

    def export_data(self, dataset: Iterable[Mapping[str, Any]], **_kwargs: Any) -> bytes:
        return write_csv(dataset)


class AccountJSON(AccountFormat):
    title = "json"
    content_type = "application/json"

    def create_dataset(self, in_stream: bytes) -> Table:
        return read_json(in_stream)

    def export_data(self, dataset: Iterable[Mapping[str, Any]], **_kwargs: Any) -> bytes:
        return write_json(dataset)


# ---- resources --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What the pages ask of a result: the plan, or the faults that forbid it."""

    plan: Plan | None = None
    faults: Sequence[str] = ()

    def has_errors(self) -> bool:
        return bool(self.faults)

    def has_validation_errors(self) -> bool:
        return False


class AccountImport(resources.Resource):  # type: ignore[misc]
    """Django-import-export's way in; each row by itself would be a query for each row."""

    @classmethod
    def get_display_name(cls) -> str:
        return _now("Accounts")

    def get_user_visible_fields(self) -> list[Any]:
        return [fields.Field(column_name=name) for name in IMPORTED]

    def import_data(
        self, dataset: Table, *, dry_run: bool, file_name: str, user: Actor, **_kwargs: Any
    ) -> ImportResult:
        """Look, or do it: as a whole or not at all."""
        may = may_use_secrets(user) if user else False
        try:
            if dry_run:
                return ImportResult(accounts.plan(dataset, may_set_secrets=may))
            return ImportResult(
                accounts.import_accounts(dataset, source=file_name, may_set_secrets=may, by=user)
            )
        except InvalidInput as error:
            return ImportResult(faults=error.faults)


class AccountExport(AccountImport):
    """Django-import-export's way out."""

    def get_user_visible_fields(self) -> list[Any]:
        return [fields.Field(column_name=name) for name in EXPORTED]

    def export(self, queryset: Any = None, **_kwargs: Any) -> list[dict[str, Any]]:
        return list(accounts.exported_rows(queryset))


# ---- forms ------------------------------------------------------------------------------------------


class AccountImportForm(ImportForm):  # type: ignore[misc]  # unfold has no types
    """Says how large a file may be: a larger one is not kept by the upload, as if none had come."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        size = _("At most %(size)d MiB.") % {"size": settings.FILE_UPLOAD_MAX_MEMORY_SIZE // 2**20}
        self.fields["import_file"].error_messages["required"] = _("Choose a file. %(size)s") % {"size": size}
        self.fields["import_file"].help_text = size


class AccountConfirmForm(ConfirmImportForm):  # type: ignore[misc]
    """What the preview posts back."""

    import_file_name = forms.RegexField(r"\A[0-9a-f]{32}\Z", widget=forms.HiddenInput)
    format = forms.ChoiceField(choices=[("0", "csv"), ("1", "json")], widget=forms.HiddenInput)


# ---- pages ------------------------------------------------------------------------------------------


class AccountTransferMixin(ImportExportMixin):  # type: ignore[misc]
    """Stands in front of the base of the accounts' pages."""

    import_formats = export_formats = [AccountCSV, AccountJSON]
    import_form_class = AccountImportForm
    confirm_form_class = AccountConfirmForm
    export_form_class = ExportForm
    tmp_storage_class = SealedStorage
    import_template_name = "warmup/admin/import_accounts.html"
    skip_admin_log = True  # one audit entry tells of the whole

    def get_import_resource_classes(self, _request: HttpRequest) -> list[type[AccountImport]]:
        return [AccountImport]

    def get_export_resource_classes(self, _request: HttpRequest) -> list[type[AccountExport]]:
        return [AccountExport]

    def has_import_permission(self, request: HttpRequest) -> bool:
        """An import adds and changes."""
        return bool(self.has_add_permission(request) and self.has_change_permission(request))

    def has_export_permission(self, request: HttpRequest) -> bool:
        """What an export holds can be seen in the list too."""
        return bool(self.has_view_permission(request))

    # ---- import ----

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The form, and after an upload what it would do; a file that will not be imported is not kept."""
        response: TemplateResponse = super().import_action(request, **kwargs)
        context = response.context_data or {}
        name = getattr(request.FILES.get("import_file"), "tmp_storage_name", None)
        if name and "confirm_form" not in context:
            SealedStorage(name=name).remove()
        response.context_data = context | _shown(context.get("result"))
        return response

    def add_data_read_fail_error_to_form(self, form: forms.Form, error: Exception) -> None:
        """Put what is wrong with the file as a whole under its field."""
        if not isinstance(error, InvalidInput):
            raise error
        form.add_error("import_file", list(error.faults))

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Do what the preview has shown."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        if request.method == "POST" and not self.create_confirm_form(request).is_valid():
            messages.error(request, _now("Upload the file again: its preview was not confirmed."))
            return self._to("import")
        try:
            response: HttpResponse = super().process_import(request, **kwargs)
        except InvalidInput as error:  # the file is gone
            messages.error(request, str(error))
            return self._to("import")
        return response

    def process_result(self, result: ImportResult, request: HttpRequest) -> HttpResponse:
        """Say what was done; or that nothing was, as something has changed since the preview."""
        if result.plan is not None:
            messages.success(request, _now("Imported: %(counts)s.") % {"counts": _counts_text(result.plan)})
            return self._to("changelist")
        context = self.admin_site.each_context(request) | {
            "title": _("Import"),
            "opts": self.opts,
            "form": self.create_import_form(request),
            "media": self.media,
            "result": result,
        }
        return TemplateResponse(request, self.import_template_name, context | _shown(result))

    def _to(self, page: str) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"admin:core_account_{page}"))

    # ---- export ----

    def get_export_data(
        self, file_format: AccountFormat, request: HttpRequest, queryset: Any, **_: Any
    ) -> bytes:
        """The file, once the audit has it."""
        rows = AccountExport().export(queryset)
        audit.record(actor(request), "export", f"accounts.{file_format.title}", count=len(rows))
        return file_format.export_data(rows)  # type: ignore[no-any-return]


def _counts_text(plan: Plan) -> str:
    counts = plan.counts()
    return ", ".join(f"{counts[what]} {text}" for what, text in KINDS.items())


def _shown(result: ImportResult | None) -> dict[str, Any]:
    """What the page shows of a result: counts and the first accounts, never a secret."""
    if result is None or result.plan is None:
        return {}
    found = [
        (row.number if result.plan.table.is_csv else number, change)
        for number, (row, change) in enumerate(
            zip(result.plan.table.rows, result.plan.changes, strict=True), start=1
        )
        if change.what != SAME
    ]
    return {
        "counts_text": _counts_text(result.plan),
        "preview": [_preview(number, change) for number, change in found[:PREVIEWED]],
        "more": max(0, len(found) - PREVIEWED),
    }


def _preview(number: int, change: Change) -> dict[str, Any]:
    account = change.account
    values = {"proxy": account.proxy or _("none"), "enabled": _("yes") if account.enabled else _("no")}
    return {
        "number": number,
        "site": account.site,
        "username": account.username,
        "kind": KINDS[change.what],
        "sets": [(name, values.get(name, _("set, not shown"))) for name in change.columns],
    }
