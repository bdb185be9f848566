from __future__ import annotations

import subprocess
import sys


def test_the_first_request_finds_every_view_imported():
    ask = "import sys, cogo.asgi; sys.exit(not {'cogo.urls', 'llm_gateway.api.native.views', 'analytics.views'} <= set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", ask], check=False, timeout=60).returncode == 0


def test_a_web_worker_finds_its_configuration_before_anything_else_is_loaded():
    build = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'cogo.settings'; import cogo.web; cogo.web.config()"
    done = subprocess.run([sys.executable, "-c", build], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
