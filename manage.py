#!/usr/bin/env python
"""Django's command line for the gateway."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError:
        sys.exit("cogo: Django is not installed in this Python; use .venv/bin/python manage.py, which 'make install' sets up")
    from cogo import footing, local_secrets

    footing.take()
    # A child of a running gateway makes none: one that is lost would be replaced behind the others' backs, and no client key would hold.
    if "COGO_SUPERVISED" not in os.environ:
        local_secrets.prepare(Path(__file__).resolve().parent)
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
