"""The routes of files and batches in the OpenAPI document: (operation, summary, tag) each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OPENAI, _ANTHROPIC, _GEMINI = "openai-compatible", "anthropic-compatible", "gemini-compatible"

BATCHES: Final[Mapping[tuple[str, str], tuple[str, str, str]]] = {
    ("POST", "/v1/files"): ("file_upload", "Upload a file as multipart/form-data; docs/batch.md.", _OPENAI),
    ("GET", "/v1/files"): ("file_list", "The files of this key.", _OPENAI),
    ("GET", "/v1/files/{file_id}"): ("file_get", "One file.", _OPENAI),
    ("DELETE", "/v1/files/{file_id}"): ("file_delete", "Delete a file.", _OPENAI),
    ("GET", "/v1/files/{file_id}/content"): ("file_content", "What a file holds.", _OPENAI),
    ("POST", "/v1/batches"): ("batch_create", "Execute the requests of a file within a day.", _OPENAI),
    ("GET", "/v1/batches"): ("batch_list", "The batches of this key.", _OPENAI),
    ("GET", "/v1/batches/{batch_id}"): ("batch_get", "One batch.", _OPENAI),
    ("POST", "/v1/batches/{batch_id}/cancel"): ("batch_cancel", "Begin nothing more of a batch.", _OPENAI),
    ("POST", "/v1/messages/batches"): ("message_batch_create", "Execute messages within a day.", _ANTHROPIC),
    ("GET", "/v1/messages/batches"): ("message_batch_list", "The message batches of this key.", _ANTHROPIC),
    ("GET", "/v1/messages/batches/{batch_id}"): ("message_batch_get", "One message batch.", _ANTHROPIC),
    ("DELETE", "/v1/messages/batches/{batch_id}"): ("message_batch_delete", "Delete a message batch that has ended.", _ANTHROPIC),
    ("POST", "/v1/messages/batches/{batch_id}/cancel"): ("message_batch_cancel", "Begin nothing more of a batch.", _ANTHROPIC),
    ("GET", "/v1/messages/batches/{batch_id}/results"): ("message_batch_results", "Its results as JSONL, in order.", _ANTHROPIC),
}
