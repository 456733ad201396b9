"""What the playbook answers is a result envelope, as authors of other playbooks read it."""

from __future__ import annotations

import json

from guardduty_response.containment import envelope
from guardduty_response.containment.answer import envelope_of
from guardduty_response.playbooks.ec2_instance import playbook

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab


def test_the_answer_says_all_that_the_record_has(lab: Lab) -> None:
    lab.build(interfaces=2)
    target = lab.plan()
    context = lab.context(attempt=3)
    playbook.contain(context, target)
    step, checks = playbook.verify(context, target)
    answered = envelope_of(context, target, step, checks)
    parsed = envelope.parse(json.loads(json.dumps(answered)))
    assert {**parsed, "evidence": answered["evidence"]} == answered
    assert parsed["evidence"].keys() == answered["evidence"].keys() == {"held_sessions"}
    stored = lab.stored_record()
    assert answered["status"] == "CONTAINED"
    assert answered["before"] == stored["before"]
    assert answered["actions"] == stored["actions"]
    assert set(answered["before"]) >= {"network", "profile"}
    assert {check["name"] for check in answered["checks"]} >= {
        f"interface {interface}" for interface in lab.groups()
    }
    assert set(lab.groups()) <= set(answered["watched"])
