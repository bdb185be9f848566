"""Settings of Django REST framework and django-q2 that no environment variable changes.
cogo.settings includes them."""

from __future__ import annotations

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "llm_gateway.api.native.auth.ClientKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    # Closed by default: each view names the scope it needs.
    "DEFAULT_PERMISSION_CLASSES": ["llm_gateway.api.native.auth.DenyAll"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer", "rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_PARSER_CLASSES": ["llm_gateway.api.native.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "llm_gateway.api.native.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

Q_CLUSTER = {
    "name": "cogo",
    "orm": "default",
    "workers": 2,
    "timeout": 120,
    "retry": 180,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 50,
    "save_limit_per": "func",
    "poll": 1.0,
    "guard_cycle": 2,
    "label": "Background work",
}
