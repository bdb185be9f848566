"""The faces programs and browsers talk to: ``native`` is our own API, ``compat`` speaks the providers' dialects."""
