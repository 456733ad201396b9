"""What holds for the role that monitors, of every playbook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.member_policies import READS, granted, member_policy
from tests.support.repository import ROOT

PLAYBOOKS = sorted(
    path.parent.name for path in Path(ROOT / "playbooks").glob("*/responder-policy.json")
)
MEMBER = "222222222222"


def _undoing_calls() -> set[str]:
    """Returns every call that undoes some containment, by name."""
    names: set[str] = set()
    for path in Path(ROOT / "playbooks").glob("*/undoing-calls.json"):
        for calls in json.loads(path.read_text()).values():
            names |= set(calls)
    return names


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_it_only_reads(playbook: str) -> None:
    document = member_policy(playbook, "monitor", MEMBER)
    assert granted(document) and granted(document) - READS == set()
    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_it_may_nothing_that_the_responder_may_not(playbook: str) -> None:
    """Else a check could read what no verdict was made of."""
    text = Path(ROOT / "playbooks" / playbook / "responder-policy.json").read_text()
    for action in granted(member_policy(playbook, "monitor", MEMBER)):
        assert f'"{action}"' in text, action


def test_monitoring_never_wakes_itself() -> None:
    """So the event pattern need not name its roles, as it names the responder's."""
    undoing = _undoing_calls()
    assert len(undoing) > 20
    for playbook in PLAYBOOKS:
        actions = granted(member_policy(playbook, "monitor", MEMBER))
        assert {action.split(":")[1] for action in actions} & undoing == set()
