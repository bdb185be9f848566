#!/usr/bin/env python
"""Django's command line for the gateway."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")
    from cogo import local_secrets

    local_secrets.make_missing(Path(os.environ.get("COGO_VAR_DIR", Path(__file__).resolve().parent / "var")))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
