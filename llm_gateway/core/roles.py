"""The table of what each staff role may do. The console's groups, the API's scopes and
docs/roles.md are made from it.

A superuser may do everything, and only a superuser manages users and roles. No role reads prompts:
that right is given to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from .catalog import Scope

VIEW = "view"
EDIT = "view add change"
FULL = "view add change delete"

# The permissions a session needs for each API scope. A reader never spends.
READS = "llm_gateway.view_requestlog"
SPENDS = "llm_gateway.spend_from_browser"
SWITCHES = "llm_gateway.change_strategy"
SEES_KEYS = "llm_gateway.view_providerkey"
CHECKS_KEYS = "llm_gateway.change_providerkey"
READS_TEXTS = "llm_gateway.view_requestbody"
READS_REPORTS = "analytics.view_dailyrollup"
APPROVES = "llm_gateway.approve_policy"
PRICES = "llm_gateway.change_budget"
SCOPES: Mapping[Scope, str] = {Scope.READ: READS, Scope.GENERATE: SPENDS, Scope.ANALYZE: SPENDS, Scope.MANAGE: SWITCHES}

_REPORTS = {"analytics.hourlyrollup": VIEW, "analytics.dailyrollup": VIEW}
_REQUESTS = {"llm_gateway.requestlog": VIEW, "llm_gateway.attempt": VIEW}
_METADATA = {
    "llm_gateway.provider": VIEW,
    "llm_gateway.providerkey": VIEW,
    "llm_gateway.languagemodel": VIEW,
    "llm_gateway.alias": VIEW,
    "llm_gateway.aliastarget": VIEW,
    "llm_gateway.cacherule": VIEW,
    "llm_gateway.cachedanswer": VIEW,
    "llm_gateway.price": VIEW,
    "llm_gateway.strategy": VIEW,
    "llm_gateway.strategyactivation": VIEW,
    "llm_gateway.policyversion": VIEW,
    "llm_gateway.experiment": VIEW,
    "llm_gateway.policyevent": VIEW,
    "llm_gateway.policyreplay": VIEW,
    "llm_gateway.team": VIEW,
    "llm_gateway.clientkey": VIEW,
    "llm_gateway.keycheck": VIEW,
    "llm_gateway.deploymenthealth": VIEW,
    "llm_gateway.heartbeat": VIEW,
    "llm_gateway.auditrun": VIEW,
    "llm_gateway.batch": VIEW,
    "llm_gateway.qualityrule": VIEW,
    "llm_gateway.judgerule": VIEW,
    **_REQUESTS,
    **_REPORTS,
}
_BACKGROUND = {"django_q.schedule": VIEW, "django_q.success": VIEW, "django_q.failure": VIEW, "django_q.ormq": VIEW}
_ALERTS = {"llm_gateway.alert": VIEW, "llm_gateway.alertrule": VIEW, "llm_gateway.alertdestination": VIEW}
_MONEY = {"llm_gateway.budget": VIEW, "llm_gateway.ledgerentry": VIEW, "llm_gateway.statement": VIEW, **_ALERTS}


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """``rights``: verbs by noun; ``more``: single permissions beside them."""

    summary: str
    rights: Mapping[str, str]
    more: tuple[str, ...] = ()

    @property
    def permissions(self) -> frozenset[str]:
        """Names as Django's ``has_perm`` takes them."""
        names = set(self.more)
        for noun, verbs in self.rights.items():
            app, model = noun.split(".")
            names |= {f"{app}.{verb}_{model}" for verb in verbs.split()}
        return frozenset(names)


ROLES: Mapping[str, Role] = {
    "viewer": Role(summary="Sees how the gateway is set up and what happened, without money and without texts.", rights=_METADATA),
    "operator": Role(
        summary="Runs routing: providers and their keys, models, aliases, strategies, teams, client keys. Sees budgets and alerts.",
        rights={
            **_METADATA,
            **_BACKGROUND,
            # Someone on call has to see why callers are refused.
            "llm_gateway.budget": VIEW,
            "llm_gateway.provider": FULL,
            "llm_gateway.providerkey": FULL,
            "llm_gateway.languagemodel": FULL,
            "llm_gateway.alias": FULL,
            "llm_gateway.aliastarget": FULL,
            "llm_gateway.cacherule": FULL,
            "llm_gateway.strategy": FULL,
            "llm_gateway.experiment": "view add",
            "llm_gateway.qualityrule": FULL,
            "llm_gateway.judgerule": FULL,
            "llm_gateway.team": EDIT,
            "llm_gateway.clientkey": EDIT,
            "llm_gateway.deploymenthealth": "view change",
            "llm_gateway.batch": "view change",
            "llm_gateway.alert": "view change",
            "llm_gateway.alertrule": FULL,
            "llm_gateway.alertdestination": FULL,
        },
        more=(SPENDS, APPROVES),
    ),
    "finance": Role(
        summary="Keeps prices and budgets, reads the ledger, alerts and closed months. Sees no provider key and no client key.",
        rights={
            "llm_gateway.languagemodel": VIEW,
            "llm_gateway.provider": VIEW,
            "llm_gateway.team": VIEW,
            **_REQUESTS,
            **_REPORTS,
            **_MONEY,
            "llm_gateway.auditrun": VIEW,
            "llm_gateway.price": FULL,
            "llm_gateway.budget": FULL,
            "llm_gateway.alert": "view change",
        },
    ),
    "auditor": Role(
        summary="Reads everything but prompts and answers, the audit trail too, and changes nothing.",
        rights={
            **_METADATA,
            **_BACKGROUND,
            **_MONEY,
            "llm_gateway.auditentry": VIEW,
            "llm_gateway.invitation": VIEW,
            "auth.user": VIEW,
            "auth.group": VIEW,
        },
    ),
}


def scopes_of(may: Callable[[str], bool]) -> frozenset[Scope]:
    """The scopes of a session whose user has the permissions that ``may`` affirms."""
    return frozenset(scope for scope, permission in SCOPES.items() if may(permission))
