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
    ("POST", "/v1beta/models/{model}:batchGenerateContent"): ("gemini_batch_create", "Execute generateContent within a day.", _GEMINI),
    ("POST", "/v1beta/models/{model}:asyncBatchEmbedContent"): ("gemini_batch_embed", "Embed texts within a day.", _GEMINI),
    ("GET", "/v1beta/batches"): ("gemini_batch_list", "The batches of this key.", _GEMINI),
    ("GET", "/v1beta/batches/{batch_id}"): ("gemini_batch_get", "One batch.", _GEMINI),
    ("DELETE", "/v1beta/batches/{batch_id}"): ("gemini_batch_delete", "Delete a batch that has ended.", _GEMINI),
    ("POST", "/v1beta/batches/{batch_id}:cancel"): ("gemini_batch_cancel", "Begin nothing more of a batch.", _GEMINI),
    ("POST", "/upload/v1beta/files"): ("gemini_upload_start", "Begin a resumable upload.", _GEMINI),
    ("POST", "/upload/v1beta/files/{token}"): ("gemini_upload_piece", "A piece of an upload.", _GEMINI),
    ("PUT", "/upload/v1beta/files/{token}"): ("gemini_upload_put", "A piece of an upload.", _GEMINI),
    ("GET", "/v1beta/files"): ("gemini_file_list", "The files of this key.", _GEMINI),
    ("GET", "/v1beta/files/{file_id}"): ("gemini_file_get", "One file.", _GEMINI),
    ("GET", "/v1beta/files/{file_id}:download"): ("gemini_file_download", "What a file holds.", _GEMINI),
    ("DELETE", "/v1beta/files/{file_id}"): ("gemini_file_delete", "Delete a file.", _GEMINI),
}
