"""What the playbook answers is a result envelope, as authors of other playbooks read it."""

from __future__ import annotations

import json

from guardduty_response.containment import envelope
from guardduty_response.containment.answer import envelope_of
from guardduty_response.playbooks.iam_principal import playbook, verify

from tests.unit.playbooks.iam_principal.iam_lab import IamLab


def test_the_answer_says_all_that_the_record_has(iam: IamLab) -> None:
    target = iam.user(keys=2).plan()
    context = iam.context(attempt=2)
    playbook.contain(context, target)
    iam.clock_offset += verify.SETTLE_SECONDS + 1
    result, checks = playbook.verify(context, target)
    answered = envelope_of(context, target, result, checks)
    assert envelope.parse(json.loads(json.dumps(answered)))["checks"] == answered["checks"]
    stored = iam.stored_target()
    assert answered["status"] == "CONTAINED"
    assert answered["before"] == stored["before"]
    assert answered["actions"] == stored["actions"]
    assert {"deny_all", "access_keys"} <= set(answered["before"])
    assert "deny_all" in {check["name"] for check in answered["checks"]}
    assert {"alice", *iam.ids["keys"]} <= set(answered["watched"])
