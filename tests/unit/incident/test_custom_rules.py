"""Findings of custom detection rules: types that no catalogue knows, which name their rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.decision import finding, manifests

from tests.support.catalogue import finding_types
from tests.support.finding_corpus import corpus
from tests.unit.deployment import Deployment
from tests.unit.function_calls import NOTICE, call

RULE = "Synthetic rule: access key made outside of the pipeline"
TYPE = "Persistence:Quantum/SyntheticTechnique"


@pytest.fixture
def event() -> Any:
    [entry] = [entry for entry in corpus() if entry.file.endswith("custom_detection_rule.json")]
    return entry.read()


def test_the_type_is_unknown_and_its_resource_decides(event: Any) -> None:
    seen = finding.parse(event)
    assert seen.type == TYPE and TYPE not in finding_types()
    assert seen.rule == RULE
    assert manifests.playbook_for(seen)[0] == "iam_principal"


@pytest.mark.parametrize(
    ("key", "status"), [(TYPE, "OPEN"), ("Persistence:*", "OPEN"), ("Impact:*", "NOTIFIED")]
)
def test_it_is_answered_by_its_key_or_a_pattern_and_else_told(
    deployment: Deployment, event: Any, key: str, status: str
) -> None:
    active = ["ec2_instance", "iam_principal"]
    deployment.configure({"remediations": {key: "auto"}, "active_playbooks": active})
    call("open", event=event)
    call(
        "notice",
        event=event,
        execution=NOTICE,
    )
    [meta] = deployment.incidents()
    assert (meta["status"], meta["detection_rule"]) == (status, RULE)
    assert meta["playbook"] == "iam_principal"
    if status == "OPEN":
        call(
            "announce",
            incident_id=meta["incident_id"],
            verify_only=False,
        )
    [message] = deployment.messages()
    assert f"Rule      {RULE} (custom detection rule)\n" in message["Message"]
    assert f"Finding   {TYPE} (severity" in message["Message"]


def test_what_guardduty_raises_itself_names_no_rule(
    deployment: Deployment, finding_event: Callable[..., dict[str, Any]]
) -> None:
    call("open", event=finding_event())
    [meta] = deployment.incidents()
    assert "detection_rule" not in meta
    assert finding.parse(finding_event()).rule == ""
