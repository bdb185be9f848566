"""Rows to look at: a small catalogue, and requests as the journal writes them. Everything is made from a seed, nothing from the clock."""

from __future__ import annotations

import os
import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from llm_gateway.core.ids import uuid7
from llm_gateway.core.money import cost_nusd
from llm_gateway.core.usage import Usage
from llm_gateway.models import (
    Alias,
    AliasTarget,
    Attempt,
    Budget,
    ClientKey,
    DeploymentHealth,
    Heartbeat,
    KeyCheck,
    LanguageModel,
    LedgerEntry,
    Price,
    Provider,
    ProviderKey,
    RequestLog,
    Strategy,
    StrategyActivation,
    Team,
)

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)

PROVIDERS = (
    ("fireworks", "Fireworks", "openai_chat", "https://api.fireworks.ai/inference/v1", 10),
    ("anthropic", "Anthropic", "anthropic_messages", "https://api.anthropic.com", 20),
    ("openai", "OpenAI", "openai_chat", "https://api.openai.com/v1", 30),
    ("gemini", "Google Gemini", "gemini_generate", "https://generativelanguage.googleapis.com", 40),
)
MODELS = (
    ("fireworks", "kimi-k3", "accounts/fireworks/models/kimi-k3", "0.60", "2.50"),
    ("anthropic", "claude-sonnet-5-5", "claude-sonnet-5-5", "2", "10"),
    ("openai", "gpt-6.1-sol", "gpt-6.1-sol", "2", "10"),
    ("gemini", "gemini-3.8-flash", "gemini-3.8-flash", "0.30", "2.50"),
)


def team(name: str = "Platform", **more: Any) -> Team:
    return Team.objects.get_or_create(slug=name.lower(), defaults={"name": name, **more})[0]


def client_key(name: str = "build bot", owner: Team | None = None, **more: Any) -> ClientKey:
    public = uuid.uuid4().hex[:12]
    more.setdefault("scopes", ["generate", "read"])
    return ClientKey.objects.create(team=owner or team(), name=name, public_id=public, digest=os.urandom(32), **more)


def provider(slug: str = "acme", title: str = "Acme", wire: str = "openai_chat", **more: Any) -> Provider:
    more.setdefault("base_url", f"https://{slug}.example/v1")
    return Provider.objects.create(slug=slug, title=title, wire=wire, **more)


def model(name: str, at: Provider, price: tuple[str, str] | None = ("1", "2"), **more: Any) -> LanguageModel:
    more.setdefault("upstream_id", name)
    row = LanguageModel.objects.create(provider=at, name=name, **more)
    if price:
        Price.objects.create(model=row, effective_from=datetime(2026, 1, 1, tzinfo=UTC), input=Decimal(price[0]), output=Decimal(price[1]))
    return row


def request(at: datetime, key: ClientKey | None, served: LanguageModel | None, **more: Any) -> RequestLog:
    """One log row. Finished with what a good answer has, unless ``more`` says otherwise."""
    values: dict[str, Any] = {
        "id": uuid7(int(at.timestamp() * 1000), os.urandom(10)),
        "created_at": at,
        "finished_at": at + timedelta(seconds=1),
        "state": "ok",
        "kind": "chat",
        "dialect": "openai_chat",
        "team": key.team if key else team(),
        "client_key": key,
        "asked_model": served.name if served else "",
        "strategy": "enterprise",
        "provider": served.provider if served else None,
        "provider_slug": served.provider.slug if served else "",
        "model": served,
        "served_model": served.upstream_id if served else "",
        "attempt_count": 1,
        "http_status": 200,
        "finish_reason": "stop",
        "input_tokens": 100,
        "output_tokens": 50,
        "usage_source": "reported",
        "cost_nusd": 200_000,
        "latency_ms": 1000,
    }
    return RequestLog.objects.create(**(values | more))


def correction(row: RequestLog | None, amount_nusd: int, at: datetime) -> LedgerEntry:
    """Of the request's own cost, as a rerate or a late settlement books it."""
    return LedgerEntry.objects.create(
        request=row, kind="adjustment", state="posted", amount_nusd=amount_nusd, created_at=at, resolved_at=at, note="rerate"
    )


def attempt(row: RequestLog, number: int = 1, outcome: str = "ok", **more: Any) -> Attempt:
    values: dict[str, Any] = {
        "provider": row.provider,
        "provider_slug": row.provider_slug or "acme",
        "upstream_id": row.served_model or "x",
        "started_at": row.created_at,
        "latency_ms": row.latency_ms,
    }
    return Attempt.objects.create(request=row, number=number, outcome=outcome, **(values | more))


def catalogue() -> dict[str, Any]:
    """Providers with keys in every state, models with prices, aliases, strategies, budgets."""
    providers = {
        slug: Provider.objects.get_or_create(
            slug=slug, defaults={"title": title, "service": slug, "wire": wire, "base_url": url, "priority": priority}
        )[0]
        for slug, title, wire, url, priority in PROVIDERS
    }
    now = timezone.now()
    keys = {}
    states = {"fireworks": "valid", "anthropic": "valid", "openai": "rate_limited", "gemini": "invalid"}
    reasons = {
        "valid": "The provider lists its models for this key.",
        "rate_limited": "The provider says the key is over its rate limit.",
        "invalid": "The provider refuses this key: it does not exist or was deleted.",
    }
    for slug, state in states.items():
        keys[slug] = ProviderKey.objects.create(
            provider=providers[slug],
            hint="…wxyz",
            state=state,
            reason=reasons[state],
            evidence="" if state == "valid" else "401 API key not valid. Please pass a valid API key.",
            checked_at=now - timedelta(minutes=3),
            next_check_at=now + timedelta(minutes=2),
        )
        for minutes in (3, 8, 13):
            KeyCheck.objects.create(
                provider_key=keys[slug],
                at=now - timedelta(minutes=minutes),
                state=state,
                reason=reasons[state],
                latency_ms=180 + minutes,
                trigger="schedule",
            )
    models = {}
    for slug, name, upstream, price_in, price_out in MODELS:
        models[name] = model(
            name,
            providers[slug],
            (price_in, price_out),
            upstream_id=upstream,
            context_window=200_000,
            max_output_tokens=32_000,
            capabilities=["tools", "images"],
            source="catalogue",
        )
    old = model(
        "claude-3.5-sonnet",
        providers["anthropic"],
        ("3", "15"),
        upstream_id="claude-3-5-sonnet-20241022",
        lifecycle="retired",
        retires_on=datetime(2025, 10, 28, tzinfo=UTC).date(),
        successor=models["claude-sonnet-5-5"],
        auto=False,
        source="catalogue",
    )
    models[old.name] = old
    model("house-llm", providers["openai"], None)
    for name, targets in (("claude", ["claude-sonnet-5-5"]), ("best", ["claude-sonnet-5-5", "gpt-6.1-sol", "kimi-k3"])):
        row = Alias.objects.create(name=name)
        for position, target in enumerate(targets):
            AliasTarget.objects.create(alias=row, model=models[target], position=position)
    for name, title, active in (
        ("enterprise", "Enterprise (priority)", True),
        ("ab-testing", "A/B testing", False),
        ("performance-based", "Performance-based", False),
    ):
        row = Strategy.objects.create(name=name, kind=name, title=title, active=active)
        if active:
            StrategyActivation.objects.create(strategy=row, settings={}, via="bootstrap")
    return {"providers": providers, "keys": keys, "models": models}


def traffic(days: int, per_day: int, seed: int = 7, simulated: bool = False) -> int:
    """A believable month for :func:`catalogue`'s models: fallbacks, failures, estimates, unknown costs, refusals. Returns the rows made."""
    rng = random.Random(seed)
    now = timezone.now().replace(microsecond=0)
    models = [m for m in LanguageModel.objects.select_related("provider").filter(lifecycle="active") if m.prices.exists()]
    rates = {m.pk: _rate(m) for m in models}
    keys = list(ClientKey.objects.select_related("team")) or [client_key()]
    provider_keys = {k.provider_id: k for k in ProviderKey.objects.all()}
    made = 0
    for day in range(days):
        for _ in range(max(1, int(per_day * rng.uniform(0.4, 1.3)))):
            at = now - timedelta(days=day, seconds=rng.randrange(1, 86_400))
            served = rng.choices(models, weights=[5, 4, 2, 1][: len(models)])[0]
            _one(rng, at, rng.choice(keys), served, rates[served.pk], models, provider_keys, simulated)
            made += 1
    return made


def _one(
    rng: random.Random,
    at: datetime,
    key: ClientKey,
    served: LanguageModel,
    rate: Any,
    models: list[LanguageModel],
    provider_keys: dict[int, ProviderKey],
    simulated: bool,
) -> None:
    draw = rng.random()
    more: dict[str, Any] = {"simulated": simulated, "asked_model": rng.choice(["", served.name, "claude", "auto"])}
    tokens = {"input_tokens": rng.randrange(200, 9000), "output_tokens": rng.randrange(20, 2500)}
    latency = int(rng.lognormvariate(7.3, 0.6))
    more |= tokens | {
        "latency_ms": latency,
        "ttft_ms": latency // 4,
        "stream": rng.random() < 0.6,
        "kind": rng.choice(["chat", "generate", "analyze"]),
    }
    more["cost_nusd"] = cost_nusd(Usage(**tokens), rate)
    more["hold_nusd"] = more["cost_nusd"] * 3
    more["price_id"] = rate.price_id
    order = [f"{m.provider.slug}/{m.upstream_id}" for m in models]
    more["decision"] = {
        "asked": more["asked_model"] or "auto",
        "strategy": "enterprise",
        "order": order,
        "note": "Ordered by provider priority, then model position.",
        "scores": {name: {"priority": 10 * (i + 1), "position": 100} for i, name in enumerate(order)},
        "skipped": [{"target": "gemini/gemini-1.5-pro", "why": "retired by its provider"}],
    }
    if draw < 0.03:
        more |= {
            "state": "failed",
            "http_status": 502,
            "error_code": "provider_error",
            "cost_nusd": 0,
            "output_tokens": None,
            "ttft_ms": None,
            "finish_reason": "",
            "attempt_count": 2,
        }
    elif draw < 0.05:
        more |= {
            "state": "rejected",
            "http_status": 429,
            "error_code": "rate_limited",
            "cost_nusd": 0,
            "attempt_count": 0,
            "provider": None,
            "provider_slug": "",
            "model": None,
            "served_model": "",
            "input_tokens": None,
            "output_tokens": None,
            "latency_ms": 0,
            "ttft_ms": None,
            "usage_source": "",
            "decision": None,
            "finish_reason": "",
        }
    elif draw < 0.07:
        more |= {"usage_source": "estimated", "state": "client_cancelled", "http_status": 499, "finish_reason": ""}
    elif draw < 0.08:
        more |= {"cost_nusd": None, "price_id": None}
    elif draw < 0.12:
        more["attempt_count"] = 2
    row = request(at, key, None if draw < 0.05 and draw >= 0.03 else served, **more)
    for number in range(1, row.attempt_count + 1):
        last = number == row.attempt_count
        good = last and row.state != "failed"
        attempt(
            row,
            number,
            "ok" if good else "failed",
            provider_key=provider_keys.get(served.provider_id),
            error_class="" if good else "overloaded",
            http_status=200 if good else 529,
            detail="" if good else "Overloaded: the service is temporarily over capacity.",
            billed="usage" if good else "void",
            cost_nusd=row.cost_nusd if good else 0,
            streamed=row.stream,
            upstream_request_id=f"req_{uuid.UUID(int=rng.getrandbits(128)).hex[:16]}",
        )


def _rate(row: LanguageModel) -> Any:
    from analytics.reports.savings import rates_of

    return rates_of(row.name)[0]


def console() -> None:
    """Everything the console can show, for a look at it."""
    found = catalogue()
    for name, owner in (("build bot", "Platform"), ("review agent", "Platform"), ("support desk", "Support"), ("notebooks", "Research")):
        client_key(name, team(owner))
    client_key("old laptop", team("Research"), revoked_at=timezone.now() - timedelta(days=3))
    traffic(days=34, per_day=30)
    now = timezone.now()
    month = f"{now:%Y-%m}"
    bot = ClientKey.objects.get(name="build bot")
    budgets = (
        ("Platform", {"team": team("Platform")}, 120, 71_200_000_000, 800_000_000),
        ("build bot", {"client_key": bot}, 10, 9_900_000_000, 90_000_000),
        ("everything", {}, 500, 130_000_000_000, 0),
    )
    for name, owner, limit, posted, held in budgets:
        row = Budget.objects.create(
            name=name, limit_nusd=limit * 10**9, posted_nusd=posted, held_nusd=held, period_id=month, thresholds=[50, 80, 100], **owner
        )
        for log in RequestLog.objects.filter(state="ok", cost_nusd__gt=0)[:8]:
            LedgerEntry.objects.create(
                request=log,
                budget=row,
                period_id=month,
                state="posted",
                held_nusd=log.hold_nusd,
                amount_nusd=log.cost_nusd or 0,
                created_at=log.created_at,
                resolved_at=log.finished_at,
            )
    DeploymentHealth.objects.create(
        provider_key=found["keys"]["openai"],
        upstream_id="gpt-6.1-sol",
        state="open",
        reason="5 of the last 6 attempts failed.",
        evidence="429 Rate limit reached for requests per minute.",
        since=now - timedelta(minutes=1),
        until=now + timedelta(seconds=45),
    )
    Heartbeat.objects.create(name="worker 4711", at=now, detail={"requests": 1200})
