"""Observers of the pipeline: structured logs, metrics. The engine does not know they exist."""
