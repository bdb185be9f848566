"""The only reader of the environment. A wrong value stops the start with one line that says what to set."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from cogo.unfold import UNFOLD  # noqa: F401  # the console's look; django-unfold reads it from here

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()


class SettingsError(SystemExit):
    """Ends the process with one line on standard error."""

    def __init__(self, line: str) -> None:
        super().__init__(f"cogo: {line}")


_env_file = Path(os.environ.get("COGO_ENV_FILE", BASE_DIR / ".env"))
if _env_file.exists():
    try:
        _env_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{_env_file} cannot be read ({error.__class__.__name__}); make it a readable UTF-8 text file or remove it"
        ) from None
    env.read_env(str(_env_file))

VAR_DIR = Path(env.str("COGO_VAR_DIR", default=str(BASE_DIR / "var"))).resolve()


def _flag(name: str, default: bool) -> bool:
    value = env.str(name, default="").strip().lower()
    if value == "":
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name} must be true or false, not {value!r}")


def _number(name: str, default: int, low: int, high: int) -> int:
    text = env.str(name, default="").strip()
    try:
        value = int(text) if text else default
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {text!r}") from None
    if not low <= value <= high:
        raise SettingsError(f"{name} must be between {low} and {high}, not {value}")
    return value


def _secret(name: str) -> str:
    value = env.str(name, default="")
    path = VAR_DIR / "secrets" / name.lower()
    if not value and path.exists():
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path} cannot be read ({error.__class__.__name__}); make it readable for this user or set {name}"
            ) from None
    if not value:
        raise SettingsError(f"{name} is not set; set it in the environment (or {name}_FILE), or run 'make run' once to have one made")
    return value


DEBUG = _flag("DEBUG", False)
SECRET_KEY = _secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
COGO_ENCRYPTION_KEYS = _secret("COGO_ENCRYPTION_KEYS")
COGO_KEY_PEPPER = _secret("COGO_KEY_PEPPER")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# True where TLS ends in front of the gateway: secure cookies and HSTS.
COGO_HTTPS = _flag("COGO_HTTPS", False)
if len(SECRET_KEY) < 32 or len(set(SECRET_KEY)) < 12:
    raise SettingsError("SECRET_KEY is too easy to guess; set 50 random characters, or unset it to have some made")
if COGO_HTTPS and DEBUG:
    raise SettingsError("DEBUG shows internals to everybody and COGO_HTTPS says this is a deployment; unset DEBUG")
if COGO_HTTPS and "*" in ALLOWED_HOSTS:
    raise SettingsError("ALLOWED_HOSTS is *, which lets any site use the console's name; list the host names of this deployment")

PORT = _number("PORT", 8000, 1, 65535)
COGO_WORKERS = _number("COGO_WORKERS", 1, 1, 64)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "cogo",
    "llm_gateway",
    "analytics",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "cogo.urls"
ASGI_APPLICATION = "cogo.asgi.application"
WSGI_APPLICATION = "cogo.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


# The task cluster starts its processes with fork.
_FORKS = sys.argv[1:2] == ["qcluster"]


def _databases() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}")
    scheme = urlsplit(url).scheme
    if scheme not in ("sqlite", "postgres", "postgresql", "pgsql"):
        trouble = f"begins with {scheme!r}" if scheme else "names no kind of database"
        raise SettingsError(f"DATABASE_URL {trouble}; use sqlite:///path or postgres://user@host:5432/name")
    try:
        found = dict(env.db_url_config(url))
    except (ValueError, environ.ImproperlyConfigured):
        raise SettingsError("DATABASE_URL cannot be read; use sqlite:///path or postgres://user@host:5432/name") from None
    if scheme == "sqlite":
        if str(found["NAME"]) != ":memory:":
            try:
                Path(found["NAME"]).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SettingsError(
                    f"DATABASE_URL names {found['NAME']}, whose folder cannot be made ({error.strerror}); name another one"
                ) from None
        # IMMEDIATE: a writer queues at BEGIN instead of failing in the middle; NORMAL loses nothing on a killed process (WAL).
        sync = "FULL" if _flag("COGO_SQLITE_FULL_SYNC", False) else "NORMAL"
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={sync}; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY;",
        }
    else:
        try:
            import psycopg_pool  # noqa: F401  # only to say early what is missing
        except ImportError:
            raise SettingsError(
                "DATABASE_URL names PostgreSQL, whose driver is not installed; run 'make install-postgres', then try again"
            ) from None
        pool = _number("COGO_DB_POOL", 8, 0, 200)
        # A host that vanishes without a word is given up after seconds; whoever knows better says so in the URL.
        found["OPTIONS"] = {
            "connect_timeout": 3,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            **found.get("OPTIONS", {}),
        }
        found["DISABLE_SERVER_SIDE_CURSORS"] = _flag("COGO_PGBOUNCER", False)
        if _FORKS or pool == 0:
            # A process of the task cluster is one thread, which keeps one connection; a pool's threads do not survive the cluster's forks.
            found["CONN_MAX_AGE"] = 60 if _FORKS else 0
            found["CONN_HEALTH_CHECKS"] = True
        else:
            # The pool doubles its pauses between tries to connect (1, 2, 4 … s). Giving up with its callers' patience, it never reaches 4.
            found["CONN_MAX_AGE"] = 0
            found["OPTIONS"]["pool"] = {"min_size": 1, "max_size": pool, "timeout": 5, "reconnect_timeout": 5}
    return {"default": found}


DATABASES = _databases()
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    try:
        import redis  # noqa: F401
    except ImportError:
        raise SettingsError("REDIS_URL is set, but the Redis client is not installed; run 'make install-redis', then try again") from None
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = COGO_HTTPS
CSRF_COOKIE_SECURE = COGO_HTTPS
CSRF_FAILURE_VIEW = "llm_gateway.api.errors_django.csrf_failed"
SECURE_HSTS_SECONDS = 31536000 if COGO_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = COGO_HTTPS
SECURE_HSTS_PRELOAD = COGO_HTTPS
SECURE_SSL_REDIRECT = COGO_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("COGO_TRUST_PROXY", False) else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "llm_gateway.api.native.auth.ClientKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    # Nothing is open by default: a view names the scope it needs.
    "DEFAULT_PERMISSION_CLASSES": ["llm_gateway.api.native.auth.DenyAll"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer", "rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_PARSER_CLASSES": ["llm_gateway.api.native.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "llm_gateway.api.native.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "COGO LLM Gateway",
    "DESCRIPTION": "Generate and analyse code through any configured provider.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": ["llm_gateway.api.native.openapi.without_closing_slash"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
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

LOG_LEVEL = env.str("COGO_LOG_LEVEL", default="").strip().upper()
if LOG_LEVEL not in ("", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise SettingsError(f"COGO_LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {LOG_LEVEL!r}")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "llm_gateway.telemetry.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL or "WARNING"},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
        "cogo": {"level": LOG_LEVEL or "INFO"},
    },
}

# The gateway's own settings, handed to its rooms by cogo.asgi and the commands; see docs/configuration.md.
COGO = {
    "max_body_bytes": _number("COGO_MAX_BODY_MB", 32, 1, 1024) * 1024 * 1024,
    "body_timeout_s": _number("COGO_BODY_TIMEOUT_S", 30, 1, 600),
    "drain_s": _number("COGO_DRAIN_S", 25, 0, 600),
    "max_in_flight": _number("COGO_MAX_IN_FLIGHT", 512, 1, 100_000),
    "lease_s": _number("COGO_LEASE_S", 30, 5, 3600),
    "unpriced": env.str("COGO_UNPRICED", default="block"),
    "unpriced_ceiling_usd_per_million": env.str("COGO_UNPRICED_CEILING_USD", default="100"),
    "heartbeat_s": _number("COGO_HEARTBEAT_S", 15, 1, 600),
    "retention_days": (_KEPT := _number("COGO_RETENTION_DAYS", 400, 1, 36500)),
    "text_retention_days": min(_KEPT, _number("COGO_TEXT_RETENTION_DAYS", _KEPT, 1, 36500)),
    "responses_ttl_h": _number("COGO_RESPONSES_TTL_HOURS", 72, 0, 8760),
    "idempotency_h": _number("COGO_IDEMPOTENCY_HOURS", 24, 24, 8760),
    "mail": bool(env.str("COGO_EMAIL_URL", default="")),
    "alert_email": env.str("COGO_ALERT_EMAIL", default="").strip(),
    "alert_webhook_url": env.str("COGO_ALERT_WEBHOOK_URL", default="").strip(),
    "alert_webhook_secret": env.str("COGO_ALERT_WEBHOOK_SECRET", default=""),
    "alert_webhook_private": _flag("COGO_ALERT_WEBHOOK_PRIVATE", False),
    "bootstrap_client_key": env.str("COGO_BOOTSTRAP_CLIENT_KEY", default=""),
    "superuser_name": env.str("DJANGO_SUPERUSER_USERNAME", default="operator"),
    "superuser_password": env.str("DJANGO_SUPERUSER_PASSWORD", default=""),
    "superuser_email": env.str("DJANGO_SUPERUSER_EMAIL", default=""),
    "metrics_token": env.str("COGO_METRICS_TOKEN", default=""),
    "metrics_folder": env.str("PROMETHEUS_MULTIPROC_DIR", default=""),
    "browsable_api": _flag("COGO_BROWSABLE_API", True),
}
if COGO["unpriced"] not in ("block", "ceiling"):
    raise SettingsError("COGO_UNPRICED must be block or ceiling")

# Where alerts are mailed from and through: smtp://user:password@host:587. Without it none is sent.
try:
    vars().update(env.email_url("COGO_EMAIL_URL", default="consolemail://"))
except (ValueError, KeyError, environ.ImproperlyConfigured):
    raise SettingsError("COGO_EMAIL_URL cannot be read; use smtp://user:password@host:587") from None
DEFAULT_FROM_EMAIL = env.str("COGO_EMAIL_FROM", default="cogo@localhost")

# Provider keys and model names by the environment's names; the bootstrap command turns them into rows.
COGO_ENVIRONMENT = {
    name: value
    for name in (
        "FIREWORKS_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY",
        "FIREWORKS_MODEL", "ANTHROPIC_MODEL", "CLAUDE_MODEL", "OPENAI_MODEL", "GEMINI_MODEL",
    )
    if (value := env.str(name, default="").strip())
}  # fmt: skip

RUNNING_TESTS = "pytest" in sys.modules
