from __future__ import annotations

import subprocess
import sys


def test_the_first_request_finds_every_view_imported():
    ask = "import sys, cogo.asgi; sys.exit(not {'cogo.urls', 'llm_gateway.api.native.views', 'analytics.views'} <= set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", ask], check=False, timeout=60).returncode == 0
