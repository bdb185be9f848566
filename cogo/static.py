"""The admin's and the documentation's files: collected once per version into ``var/static``, served
from there by every web worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings

_PACKAGES = ("django", "django-unfold", "djangorestframework", "drf-spectacular-sidecar")


def static_app(inner: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """An ASGI application for paths under STATIC_URL, as the door sees them; what is no collected
    file goes to ``inner`` (else: 404)."""
    from servestatic import ServeStaticASGI

    root = Path(settings.STATIC_ROOT)
    root.mkdir(parents=True, exist_ok=True)
    served: Callable[..., Any] = ServeStaticASGI(
        inner, root=root, prefix=settings.STATIC_URL.removeprefix(settings.BASE_PATH), max_age=3600, allow_all_origins=False
    )
    return served


def collect(say: Callable[[str], None]) -> None:
    """Runs collectstatic when a package version or one of our own files changed since the last
    time."""
    from django.core.management import call_command

    stamp = Path(settings.STATIC_ROOT) / ".collected"
    now = _fingerprint()
    if stamp.is_file() and stamp.read_text() == now:
        return
    say("Collecting the admin's files")
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    stamp.write_text(now)


def _fingerprint() -> str:
    parts = [f"{name} {_version(name)}" for name in _PACKAGES]
    parts += [str(app) for app in settings.INSTALLED_APPS]
    ours = [Path(app.path) / "static" for app in apps.get_app_configs() if Path(app.path).parent == settings.BASE_DIR]
    for file in sorted(file for folder in [*ours, *map(Path, settings.STATICFILES_DIRS)] for file in folder.rglob("*") if file.is_file()):
        parts.append(f"{file} {file.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
