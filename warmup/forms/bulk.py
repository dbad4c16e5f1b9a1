"""What is asked about many accounts at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from core.models import Proxy

NO_PROXY = "none"


class ProxyChoiceForm(forms.Form):
    """Which proxy, or none; neither is chosen beforehand."""

    proxy = forms.ChoiceField(label=_("Proxy"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["proxy"]
        proxies = [(str(pk), name) for pk, name in Proxy.objects.values_list("pk", "name")]
        field.choices = [("", "---------"), (NO_PROXY, _("No proxy: go out directly")), *proxies]

    def chosen(self) -> Proxy | None:
        """The proxy of a valid form; None to go out directly. Raises `Proxy.DoesNotExist` when it is gone."""
        choice = self.cleaned_data["proxy"]
        return None if choice == NO_PROXY else Proxy.objects.get(pk=choice)
