"""The ASGI application: the door with its two hosts behind it."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")

from django.core.asgi import get_asgi_application

django_app = get_asgi_application()

from django.conf import settings

from cogo.door import Door
from cogo.static import static_app

application = Door(django_app, static_app(), settings.COGO)
