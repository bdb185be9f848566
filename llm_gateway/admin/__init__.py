"""Admin classes, a file per subject. Django's autodiscovery imports this package; its modules register themselves."""

from . import (  # noqa: F401  # imported for what they register
    access,
    accounts,
    background,
    books,
    budgets,
    cache,
    experiments,
    health,
    invitations,
    language_models,
    own_password,
    policies,
    prices,
    provider_keys,
    providers,
    quality,
    requests,
    strategies,
    trail,
)
