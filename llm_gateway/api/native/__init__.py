"""``/api/ai-models/``: DRF views that parse, call the pipeline and render. Views that generate touch neither models nor stores."""
