"""Lets moto's DynamoDB refuse what the functions' roles may not delete.

moto knows no IAM here. The roles' policies name the partitions of which a function may delete items
(``dynamodb:LeadingKeys``); a deletion elsewhere would only fail on AWS.
"""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.responses import DynamoHandler

from tests.support.repository import ROOT

_DELETE = DynamoHandler.delete_item
# The functions' clients say who they are (aws/clients.py); the tests' own are not refused anything.
_FUNCTIONS = "guardduty-response/"
_ALLOWED = re.compile(
    r'Action += "dynamodb:DeleteItem".*?"ForAllValues:StringLike" = '
    r'\{ "dynamodb:LeadingKeys" = (\[[^\]]*\]|"[^"]*") \}',
    re.DOTALL,
)


def deletable() -> list[str]:
    """Returns the patterns of partition keys that every function's policy names, sorted.

    Raises AssertionError where the two modules that write these policies differ.
    """
    found: list[list[str]] = []
    for module in ("function", "incident"):
        text = "".join(
            path.read_text() for path in sorted((ROOT / "modules" / module).glob("*.tf"))
        )
        [patterns] = [json.loads(match) for match in _ALLOWED.findall(text)]
        found.append(sorted([patterns] if isinstance(patterns, str) else patterns))
    assert found[0] == found[1], "modules/function and modules/incident differ"
    return found[0]


def _delete_item(self: DynamoHandler) -> Any:
    key = next(iter(self.body["Key"]["pk"].values())) if "pk" in self.body["Key"] else ""
    who = str(self.headers.get("User-Agent", ""))
    if _FUNCTIONS in who and not any(fnmatch.fnmatchcase(key, each) for each in _PATTERNS):
        raise JsonRESTError(
            "AccessDeniedException",
            f"a function's role may delete items of {', '.join(_PATTERNS)} alone, not of {key}",
        )
    return _DELETE(self)


_PATTERNS = deletable()


def enforce() -> None:
    DynamoHandler.delete_item = _delete_item  # type: ignore[method-assign]
