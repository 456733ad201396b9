"""MiniStack answers the same, sooner: what follows from a text alone is worked out once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import botocore.session
import jsonata.parser

from .ministack import dynamodb, evaluator, router
from .patching import Original, patch, replace

MOST = 2_000  # texts that are kept, each
_expressions: dict[tuple[object, ...], object] = {}


def _service_names() -> frozenset[str]:
    """Return the names that botocore's services and endpoints have, from two of its files."""
    session = botocore.session.get_session()
    endpoints = session.get_data("endpoints")["partitions"]
    services = [name for partition in endpoints for name in partition["services"]]
    return frozenset((*session.get_available_services(), *services))


replace(
    router,
    "_KNOWN_AWS_SERVICE_NAMES",
    _service_names(),
    restores="(no AWS behaviour) does not read 434 service models, for 3 s, at the first call",
)
replace(
    dynamodb,
    "_condition_syntax_error",
    lru_cache(MOST)(dynamodb._condition_syntax_error),
    restores="(no AWS behaviour) a condition's grammar is checked once, not for each item",
)


@patch(
    evaluator,
    "parse_policy_document",
    restores="(no AWS behaviour) a policy is parsed once, not for each call of its role",
)
def parse_policy_document(original: Original, document: object) -> Any:
    return _statements(original, document) if isinstance(document, str) else original(document)


@lru_cache(MOST)
def _statements(original: Original, document: str) -> Any:
    return original(document)


@patch(
    jsonata.parser.Parser,
    "parse",
    restores="(no AWS behaviour) an expression is parsed once, not at each evaluation",
)
def parse(original: Original, parser: object, *text: object) -> object:
    if text not in _expressions:
        _expressions[text] = original(parser, *text)
    return _expressions[text]
