"""The only reader of the environment. A wrong value stops the start with one line that says what to set."""

from __future__ import annotations

import os
import re
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import environ

from cogo import databases, footing, names, outgoing, sign_on, weakness
from cogo.environment import Environment, EnvironmentTrouble, read_file
from cogo.frameworks import Q_CLUSTER, REST_FRAMEWORK  # noqa: F401  # read from here by name
from cogo.unfold import UNFOLD  # noqa: F401  # the console's look; django-unfold reads it from here
from llm_gateway.providers import services

BASE_DIR = Path(__file__).resolve().parent.parent


class SettingsError(SystemExit):
    """Ends the process with one line on standard error."""

    def __init__(self, line: str) -> None:
        super().__init__(f"cogo: {line}")


class _Env(Environment):
    """The same, whose troubles end the process."""

    def list(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        try:
            return super().list(name, default)
        except EnvironmentTrouble as trouble:
            raise SettingsError(trouble.args[0]) from None

    # Last: below it, ``str`` is this method.
    def str(self, name: str, default: str = "") -> str:
        try:
            return super().str(name, default)
        except EnvironmentTrouble as trouble:
            raise SettingsError(trouble.args[0]) from None


footing.take()
try:
    env = _Env(os.environ, read_file(Path(os.environ.get("COGO_ENV_FILE") or BASE_DIR / ".env")))
except EnvironmentTrouble as trouble:
    raise SettingsError(str(trouble)) from None
# For commands that are told the name of a variable.
COGO_VARIABLE = env.str

VAR_DIR = Path(env.str("COGO_VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
footing.close_folder(VAR_DIR)


def _flag(name: str, default: bool) -> bool:
    value = env.plain(name).lower()
    if value == "":
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name} must be true or false, not {value!r}")


def _number(name: str, default: int, low: int, high: int) -> int:
    text = env.plain(name)
    try:
        value = int(text) if text else default
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {text!r}") from None
    if not low <= value <= high:
        raise SettingsError(f"{name} must be between {low} and {high}, not {value}")
    return value


def _networks(name: str, values: list[str]) -> list[str]:
    found = []
    for text in values:
        try:
            found.append(str(ip_network(text, strict=False)))
        except ValueError:
            raise SettingsError(f"{name} has {text!r}, which is no address and no network; write 10.0.0.7 or 10.0.0.0/8") from None
    return found


def _secret(name: str) -> str:
    value = _optional_secret(name, env.str(name, default=""))
    if not value:
        raise SettingsError(f"{name} is not set; set it in the environment (or {name}_FILE), or run 'make run' once to have one made")
    return value


def _optional_secret(name: str, value: str) -> str:
    """``value``, else what ``make run`` has made and kept."""
    path = VAR_DIR / "secrets" / name.lower()
    if not value and path.exists():
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path} cannot be read ({error.__class__.__name__}); make it readable for this user or set {name}"
            ) from None
    return value


DEBUG = _flag("DEBUG", False)
SECRET_KEY = _secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = [key for part in env.str("SECRET_KEY_FALLBACKS").split(",") if (key := part.strip())]
COGO_ENCRYPTION_KEYS = _secret("COGO_ENCRYPTION_KEYS")
COGO_KEY_PEPPER = _secret("COGO_KEY_PEPPER")

ALLOWED_HOSTS = [names.host(one) for one in env.list("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]"))]
CSRF_TRUSTED_ORIGINS = [names.origin(one) for one in env.list("CSRF_TRUSTED_ORIGINS")]
# True where TLS ends in front of the gateway: secure cookies and HSTS.
COGO_HTTPS = _flag("COGO_HTTPS", False)
COGO_TRUST_PROXY = _flag("COGO_TRUST_PROXY", False)
_PROXIES = _networks("COGO_TRUSTED_PROXIES", env.list("COGO_TRUSTED_PROXIES"))
_PROXIED = "COGO_TRUST_PROXY" if COGO_TRUST_PROXY else "COGO_TRUSTED_PROXIES" if _PROXIES else ""
for _line in (
    weakness.of_settings(
        secrets={"SECRET_KEY": SECRET_KEY, "COGO_KEY_PEPPER": COGO_KEY_PEPPER, "COGO_METRICS_TOKEN": env.str("COGO_METRICS_TOKEN"),
                 "COGO_ALERT_WEBHOOK_SECRET": env.str("COGO_ALERT_WEBHOOK_SECRET")},
        encryption_keys=COGO_ENCRYPTION_KEYS,
        fallbacks=SECRET_KEY_FALLBACKS,
    ),
    weakness.of_exposure(debug=DEBUG, https=COGO_HTTPS, hosts=ALLOWED_HOSTS, origins=CSRF_TRUSTED_ORIGINS, proxied=_PROXIED),
):  # fmt: skip
    if _line:
        raise SettingsError(_line)

# Below which path of its host the gateway is found, such as /llm; empty at the root.
BASE_PATH = env.plain("COGO_BASE_PATH").rstrip("/")
if BASE_PATH and not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", BASE_PATH):
    raise SettingsError("COGO_BASE_PATH is a path such as /llm; leave it out when the gateway is at the root of its host")
FORCE_SCRIPT_NAME = BASE_PATH or None

PORT = _number("PORT", 8000, 1, 65535)
COGO_WORKERS = _number("COGO_WORKERS", 1, 1, 64)
COGO_BATCH_RUNNERS = _number("COGO_BATCH_RUNNERS", 1, 0, 64)
# Who executes the requests of batches that do not say: our runners, or their provider's batch API where all of them fit it.
COGO_BATCH_LANE = env.plain("COGO_BATCH_LANE") or "gateway"
if COGO_BATCH_LANE not in ("gateway", "provider"):
    raise SettingsError("COGO_BATCH_LANE is gateway or provider")
COGO_SCORE_WORKERS = _number("COGO_SCORE_WORKERS", 0, 0, 16)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    # A runner of batches draws no page: without its modules it takes some megabytes less.
    "django.contrib.admin.apps.SimpleAdminConfig" if sys.argv[1:2] == ["run_batches"] else "django.contrib.admin",
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
    "llm_gateway.api.staff.staff_middleware",
    (_OWN_PASSWORD := "llm_gateway.api.own_password.own_password_middleware"),
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
            "libraries": {"cogo_landmarks": "llm_gateway.admin._landmarks"},
        },
    },
]


# The task cluster starts its processes with fork.
_FORKS = sys.argv[1:2] == ["qcluster"]


def _databases() -> dict[str, Any]:
    url, host = env.str("DATABASE_URL").strip(), env.str("POSTGRES_HOST").strip()
    if url and host:
        raise SettingsError("DATABASE_URL and POSTGRES_HOST both name a database; unset one of them")
    try:
        if host:
            name = env.str("POSTGRES_DB", default="cogo")
            found = databases.from_parts(
                host, _number("POSTGRES_PORT", 5432, 1, 65535), env.str("POSTGRES_USER", default="cogo"), env.str("POSTGRES_PASSWORD"), name
            )
        else:
            found = databases.from_url(url or f"sqlite:///{VAR_DIR / 'db.sqlite3'}")
        sync = _flag("COGO_SQLITE_FULL_SYNC", False)
        pool = _number("COGO_DB_POOL", 8, 0, 200)
        options = databases.with_options(found, full_sync=sync, pool=pool, forks=_FORKS, pgbouncer=_flag("COGO_PGBOUNCER", False))
        return {"default": options}
    except databases.DatabaseTrouble as trouble:
        raise SettingsError(str(trouble)) from None


DATABASES = _databases()
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    try:
        import redis  # noqa: F401
    except ImportError:
        raise SettingsError("REDIS_URL is set, but the Redis client is not installed; run 'make install-redis', then try again") from None
    _password = env.str("REDIS_PASSWORD")
    CACHES = {
        "default": {
            "BACKEND": "cogo.cache.DependableCache",
            "LOCATION": REDIS_URL,
            **({"OPTIONS": {"password": _password}} if _password else {}),
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# The first has the form of Django's default; the others only verify what was stored elsewhere.
PASSWORD_HASHERS = [
    "cogo.hashing.QueuedHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
# The guard counts tries and refuses before a password is hashed.
AUTHENTICATION_BACKENDS = ["llm_gateway.actions.sign_in.Guard", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = f"{BASE_PATH}/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = f"{BASE_PATH}/static/"
STATIC_ROOT = VAR_DIR / "static"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SESSION_ENGINE = "cogo.sessions"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{BASE_PATH}/"
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
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if COGO_TRUST_PROXY else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
# The door has the body in memory and under a cap already; Django would write it to a disk on the event loop.
FILE_UPLOAD_MAX_MEMORY_SIZE = 33 * 1024 * 1024
# The console's largest form, fifty rows that are edited in their list, has a third of it.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

SPECTACULAR_SETTINGS = {
    "TITLE": "COGO LLM Gateway",
    "DESCRIPTION": "Generate and analyse code through any configured provider.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": BASE_PATH}] if BASE_PATH else [],
    "POSTPROCESSING_HOOKS": [
        f"llm_gateway.api.{one}"
        for one in ("native.openapi.without_closing_slash", "compat._described.with_compatible", "schema.with_optional_fields")
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
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
    "loggers": {"django.server": {"level": "WARNING"}, "django-q": {"level": "WARNING"}, "cogo": {"level": LOG_LEVEL or "INFO"}},
}

# The gateway's own settings, handed to its rooms by cogo.asgi and the commands; see docs/configuration.md.
COGO: dict[str, Any] = {
    "max_body_bytes": _number("COGO_MAX_BODY_MB", 32, 1, 1024) * 1024 * 1024,
    "body_timeout_s": _number("COGO_BODY_TIMEOUT_S", 30, 1, 600),
    "drain_s": _number("COGO_DRAIN_S", 25, 0, 600),
    "max_in_flight": (_CALLS := footing.calls(_number("COGO_MAX_IN_FLIGHT", 512, 1, 100_000), footing.descriptors())),
    "max_detached": _number("COGO_MAX_DETACHED", 256, 0, 100_000),
    "max_connections": footing.connections(footing.descriptors(), _CALLS),
    "connections_per_address": _number("COGO_CONNECTIONS_PER_ADDRESS", 256, 1, 1_000_000),
    "uploads_per_key": _number("COGO_UPLOADS_PER_KEY", 32, 1, 100_000),
    "uploads_per_address": _number("COGO_UPLOADS_PER_ADDRESS", 64, 1, 100_000),
    "trusted_proxies": _PROXIES,
    "lease_s": _number("COGO_LEASE_S", 30, 5, 3600),
    "unpriced": env.plain("COGO_UNPRICED").lower() or "block",
    "unpriced_ceiling_usd_per_million": env.plain("COGO_UNPRICED_CEILING_USD") or "100",
    "heartbeat_s": _number("COGO_HEARTBEAT_S", 15, 1, 600),
    "retention_days": (_KEPT := _number("COGO_RETENTION_DAYS", 400, 1, 36500)),
    "text_retention_days": min(_KEPT, _number("COGO_TEXT_RETENTION_DAYS", _KEPT, 1, 36500)),
    "audit_retention_days": _number("COGO_AUDIT_RETENTION_DAYS", 1100, 30, 36500),
    "responses_ttl_h": _number("COGO_RESPONSES_TTL_HOURS", 72, 0, 8760),
    "idempotency_h": _number("COGO_IDEMPOTENCY_HOURS", 24, 24, 8760),
    "mail": bool(env.str("COGO_EMAIL_URL", default="")),
    "alert_email": ", ".join(env.list("COGO_ALERT_EMAIL")),
    "alert_webhook_url": env.plain("COGO_ALERT_WEBHOOK_URL"),
    "alert_webhook_secret": env.str("COGO_ALERT_WEBHOOK_SECRET", default=""),
    "alert_webhook_private": _flag("COGO_ALERT_WEBHOOK_PRIVATE", False),
    "bootstrap_client_key": env.str("COGO_BOOTSTRAP_CLIENT_KEY", default=""),
    "superuser_name": env.str("DJANGO_SUPERUSER_USERNAME", default="operator"),
    "superuser_password": env.str("DJANGO_SUPERUSER_PASSWORD", default=""),
    "superuser_email": env.str("DJANGO_SUPERUSER_EMAIL", default=""),
    "metrics_token": _optional_secret("COGO_METRICS_TOKEN", env.str("COGO_METRICS_TOKEN", default="")),
    "metrics_open": _flag("COGO_METRICS_OPEN", False),
    "metrics_folder": env.str("PROMETHEUS_MULTIPROC_DIR", default=""),
    # Whether others than this machine's own users are meant to reach it; serve adds what it listens on.
    "exposed": weakness.exposed(https=COGO_HTTPS or COGO_TRUST_PROXY, hosts=ALLOWED_HOSTS),
    "browsable_api": _flag("COGO_BROWSABLE_API", True),
    # Where callers reach the gateway, for addresses that stand in answers; without it they are relative.
    "public_url": env.plain("COGO_PUBLIC_URL").rstrip("/"),
}
if COGO["public_url"] and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", COGO["public_url"]):
    raise SettingsError("COGO_PUBLIC_URL is where callers reach the gateway, such as https://llm.example.com or https://example.com/llm")

try:
    COGO |= outgoing.ways(env) | sign_on.ways_in(env, _flag, _number)
except (outgoing.OutgoingTrouble, sign_on.SignOnTrouble) as trouble:
    raise SettingsError(str(trouble)) from None
if COGO["second_factor_roles"]:
    MIDDLEWARE.insert(MIDDLEWARE.index(_OWN_PASSWORD) + 1, "llm_gateway.api.second_factor_wanted.second_factor_middleware")
if COGO["unpriced"] not in ("block", "ceiling"):
    raise SettingsError("COGO_UNPRICED must be block or ceiling")
if names.amount(COGO["unpriced_ceiling_usd_per_million"]) is None:
    raise SettingsError("COGO_UNPRICED_CEILING_USD must be an amount above 0, such as 100, in USD per million tokens")
if _line := names.beyond_channels(COGO):
    raise SettingsError(_line)

# Where alerts are mailed from and through: smtp://user:password@host:587. Without it none is sent.
try:
    vars().update(environ.Env.email_url_config(env.str("COGO_EMAIL_URL", default="consolemail://")))
except (ValueError, KeyError, environ.ImproperlyConfigured):
    raise SettingsError("COGO_EMAIL_URL cannot be read; use smtp://user:password@host:587") from None
if vars()["EMAIL_BACKEND"].endswith("smtp.EmailBackend") and not vars()["EMAIL_HOST"]:
    raise SettingsError("COGO_EMAIL_URL names no host; use smtp://user:password@host:587")
# For each step of a delivery; llm_gateway.actions.send_alerts bounds the whole.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = " ".join(env.str("COGO_EMAIL_FROM", default="cogo@localhost").split())

# Provider keys and model names by the names that each provider's file gives them; the bootstrap command turns them into rows.
COGO_ENVIRONMENT = {
    name: value
    for _, service in services.items()
    for name in (*service.facts.key_env, *service.facts.model_env)
    if (value := env.plain(name))
}
