"""What each reversal says that its calls need is what the policies of the remediator and of the
restorer allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from guardduty_response.containment.control import Grant
from guardduty_response.playbooks.iam_principal import reversals
from guardduty_response.playbooks.iam_principal.eradicate import rotate
from guardduty_response.playbooks.iam_principal.reversals.reversal import AnyReversal

from tests.support.repository import ROOT


def statements(role: str) -> list[dict[str, Any]]:
    """Returns what the policy of a role allows, with every job switched on."""
    text = (ROOT / "playbooks" / "iam_principal" / f"{role}-policy.json").read_text()
    text = re.sub(r"%\{.*?~\}\n", "", text).replace("${own_role_arns}", '"arn"')
    return [entry for entry in json.loads(text)["Statement"] if entry["Effect"] == "Allow"]


def listed(value: str | Iterable[str]) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def missing(role: str, grants: tuple[Grant, ...]) -> list[tuple[str, str]]:
    return [
        (action, resource)
        for grant in grants
        for action in grant.actions
        for resource in listed(grant.on)
        if not any(
            action in listed(entry["Action"]) and {resource, "*"} & listed(entry["Resource"])
            for entry in statements(role)
        )
    ]


@pytest.mark.parametrize("kind", reversals.KINDS, ids=lambda kind: kind.what)
def test_the_roles_may_do_what_a_reversal_asks_for(kind: type[AnyReversal]) -> None:
    assert missing("remediator", kind.reads + kind.contains) == []
    assert missing("restorer", kind.reads + kind.restores) == []


def test_the_remediator_may_do_nothing_else() -> None:
    asked = {
        action
        for kind in reversals.KINDS
        for grant in (*kind.reads, *kind.contains)
        for action in grant.actions
    } | {*rotate.KEYS, *rotate.SECRET, *rotate.THROUGH_KMS}
    allowed = {action for entry in statements("remediator") for action in listed(entry["Action"])}
    assert allowed == asked
