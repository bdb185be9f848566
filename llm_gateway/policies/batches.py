"""Limits of batches and their files, and how long they are kept. Pure."""

from __future__ import annotations

from datetime import timedelta

MB = 1 << 20
# https://platform.openai.com/docs/api-reference/batch/create (read 2026-11-30): 50,000 requests,
# 200 MB. https://docs.claude.com/en/api/creating-message-batches: 100,000 requests, 256 MB.
LARGEST_FILE = 200 * MB
LARGEST_INLINE = 100 * MB
LONGEST_LINE = 32 * MB
MOST_LINES = 100_000
LONGEST_CUSTOM_ID = 512
CHUNK_BYTES = 256 << 10
TEAM_QUOTA = 2 << 30
# Most lines of one key that wait or run at once.
BACKLOG = 100_000
# A file up to this size is validated before the create call answers; a runner validates a larger
# one.
READ_AT_ONCE = 1 * MB
FILES_KEPT = timedelta(days=30)
RESULTS_KEPT = timedelta(days=29)
WINDOW = timedelta(hours=24)
UPLOADS_KEPT = timedelta(hours=2)
MOST_FAULTS = 100
MOST_METADATA = 16
PURPOSES = ("batch", "assistants", "fine-tune", "vision", "user_data", "evals")
# Metadata keys for options that a dialect has no field for.
ON_BUDGET, ECONOMY, WEBHOOK, WEBHOOK_SECRET = "cogo_on_budget", "cogo_economy", "cogo_webhook", "cogo_webhook_secret"
LANE = "cogo_lane"
# Who executes lines: our own runners, or their provider's batch API at the prices of the tier of that name.
GATEWAY, PROVIDER = "gateway", "provider"
BATCH_TIER = "batch"
# A provider gave no result for a line, or took none of its batch.
LOST, NOT_EXECUTED = "batch_result_missing", "batch_not_executed"
INTERRUPTED = "interrupted"
EXPIRED, CANCELLED = "batch_expired", "batch_cancelled"
