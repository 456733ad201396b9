"""An AWS STS that packs session policies worse than the response estimates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients

Json = dict[str, Any]


class PackedSts:
    """Refuses session policies of more than ``most`` characters (None: takes all).

    ``taken`` and ``refused`` are the policies that it answered, in order.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int | None) -> None:
        self.most = most
        self.taken: list[Json] = []
        self.refused: list[Json] = []
        self._patch = monkeypatch
        self._assume = clients.client("sts").assume_role
        self.answer_with(self.answer)

    def answer_with(self, answer: Callable[..., Any]) -> None:
        """Lets ``answer`` stand for AssumeRole; it may call the method of that name."""
        self._patch.setattr(
            clients.client("sts"),
            "assume_role",
            answer,
        )

    def answer(self, **request: Any) -> Any:
        document = json.loads(request["Policy"])
        if self.most is not None and len(request["Policy"]) > self.most:
            self.refused.append(document)
            message = "Packed policy consumes 103% of allotted space, please use smaller policy."
            error: Any = {"Error": {"Code": "PackedPolicyTooLarge", "Message": message}}
            raise ClientError(error, "AssumeRole")
        self.taken.append(document)
        return self._assume(**request)


def permissions(policies: list[Json]) -> set[tuple[str, str, str]]:
    """Returns (action, resource, condition) of every permission of session policies."""
    return {
        (action, resource, json.dumps(statement.get("Condition"), sort_keys=True))
        for policy in policies
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in (
            [statement["Resource"]]
            if isinstance(statement["Resource"], str)
            else statement["Resource"]
        )
    }
