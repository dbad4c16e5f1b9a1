"""The permission for what may hold the secrets of accounts.

Who has it may replace passwords, proxy credentials and saved browser states, go back to an older state,
and see the artifacts that may hold secrets. It is asked for besides the permission for the row itself.
"""

from __future__ import annotations

from django.contrib.auth.models import PermissionsMixin

USE_ACCOUNT_SECRETS = "core.use_account_secrets"


def may_use_secrets(user: object) -> bool:
    """Whether `user` has the permission."""
    return isinstance(user, PermissionsMixin) and user.has_perm(USE_ACCOUNT_SECRETS)
