"""Admin classes, a file per subject. Django's autodiscovery imports this package; its modules register themselves."""

from . import (  # noqa: F401  # imported for what they register
    access,
    accounts,
    background,
    books,
    budgets,
    experiments,
    health,
    language_models,
    policies,
    prices,
    provider_keys,
    providers,
    requests,
    strategies,
    trail,
)
