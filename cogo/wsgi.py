"""For tools that want WSGI; the gateway itself runs on ASGI (cogo.asgi), the only host that
streams."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")
application = get_wsgi_application()
