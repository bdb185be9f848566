"""The ASGI application: the door with its two hosts behind it."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")

from django.core.asgi import get_asgi_application

from cogo.base_path import at, below
from cogo.csp import with_policy
from cogo.few import Few

django_app = with_policy(get_asgi_application())

from django.conf import settings
from django.urls import get_resolver

from cogo.door import Door
from cogo.static import static_app

# At start, not in the first request: importing the views takes a third of a second, which would
# block the event loop.
get_resolver().url_patterns  # noqa: B018  # reading it imports them

application = below(Door(Few(at(django_app, settings.BASE_PATH)), static_app(), settings.COGO), settings.BASE_PATH)
