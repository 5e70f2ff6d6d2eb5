"""The recommendation as JSON, and the schema that it follows."""

from __future__ import annotations

import json

from costmodel.decision.result import Recommendation
from costmodel.numbers import shortened


def render(result: Recommendation) -> str:
    """JSON with sorted keys and a final newline; floats with six digits, more than any interval here carries."""
    fields = shortened(result.model_dump(mode="json"))
    return "{\n" + ",\n".join(f"{_dumps(name)}: {_rows(fields[name])}" for name in sorted(fields)) + "\n}\n"


def _rows(value: object) -> str:
    """A list with one entry per line, so that a diff shows what changed; anything else on one line."""
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(_dumps(entry) for entry in value) + "\n]"
    return _dumps(value)


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def schema() -> str:
    """JSON schema of `render`."""
    described = Recommendation.model_json_schema(mode="serialization")
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(described, indent=1, sort_keys=True) + "\n"
