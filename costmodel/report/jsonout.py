"""The recommendation as JSON, and the schema that it follows."""

from __future__ import annotations

import json

from costmodel.decision.model import Recommendation
from costmodel.numbers import shortened


def render(result: Recommendation) -> str:
    """JSON with sorted keys and a final newline; floats with six digits, more than any interval here carries."""
    return json.dumps(shortened(result.model_dump(mode="json")), indent=1, sort_keys=True, allow_nan=False) + "\n"


def schema() -> str:
    """JSON schema of `render`."""
    described = Recommendation.model_json_schema(mode="serialization")
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(described, indent=1, sort_keys=True) + "\n"
