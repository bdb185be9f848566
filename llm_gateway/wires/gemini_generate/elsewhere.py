"""Parts that only this format knows, for providers of another one: code that ran at Google, files
there, media no other format has."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import Part, Text, ToolCall
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import _typed
from llm_gateway.wires._elsewhere import shortened

from . import media


def read(part: dict[str, Any], asked: bool = False) -> tuple[Part, ...] | None:
    match part:
        case {"executableCode": {"code": str(code)} as ran}:
            language = str(ran.get("language") or "").lower()
            return (Text(text=f"```{'' if language == 'language_unspecified' else language}\n{code}\n```"),)
        case {"codeExecutionResult": dict(result)}:
            outcome = str(result.get("outcome") or "").removeprefix("OUTCOME_").lower()
            output = result.get("output")
            said = shortened(output) if isinstance(output, str) and output else "no output"
            return (Text(text=f"[The code ran{f' ({outcome})' if outcome else ''}]\n{said}"),)
        case {"functionCall": {"name": str(name)} as call}:
            arguments = json.dumps(call.get("args") or {}).decode()
            return (ToolCall(id=str(call.get("id") or f"call_{name}"), name=name, arguments=arguments),)
        case {"fileData": {"fileUri": str(where)} as file}:
            known = media.read_file(_typed.convert(file, media.File, "fileData"))
            return (known,) if known else _file(f"The file {where}", file.get("mimeType"), asked)
        case {"inlineData": dict(blob)}:
            known = media.read(_typed.convert(blob, media.Blob, "inlineData"))
            return (known,) if known else _file("A file", blob.get("mimeType"), asked)
        case {"text": str(text)} if text:
            return (Text(text=text),)
    return None


def _file(name: str, kind: Any, asked: bool) -> tuple[Part, ...]:
    if asked:
        raise UnsupportedParameter(f"This provider takes no files of type {kind or 'unknown'}; send pictures, PDF or text.")
    return (Text(text=f"[{name} ({kind or 'of unknown type'}) stood here; this model cannot read it.]"),)
