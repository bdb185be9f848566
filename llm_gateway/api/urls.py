"""Everything Django serves of this room; ``cogo/urls.py`` includes it at the root."""

from __future__ import annotations

from . import docs, invitation
from .native import urls as native

urlpatterns = [*docs.urlpatterns, *invitation.urlpatterns, *native.urlpatterns]
