"""`check --deploy` of the production settings, with the values that a real deployment would set."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key


def main() -> int:
    with tempfile.TemporaryDirectory() as data_dir:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings.production",
            "SECRET_KEY": get_random_secret_key() + get_random_secret_key(),
            "FIELD_KEYS": Fernet.generate_key().decode(),
            "ALLOWED_HOSTS": "warmup.example.com",
            "WARMUP_ALLOW_ROOT": "true",  # the check may run as root; a deployment should not
            "WARMUP_DATA_DIR": data_dir,
        }
        command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
