"""Tests that a check which failed at the verdict counts as mended only when it is seen to pass."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Check
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.checks import counts
from tests.unit.fake_playbook import configure
from tests.unit.function_calls import notified, tell
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, UNREAD, UNTAGGED, Case
from tests.unit.monitoring.watchdog_events import started_checks


@pytest.fixture
def partial(case: Case, record: IncidentRepository) -> Case:
    """An incident whose verdict is PARTIAL: the profile was not replaced."""
    return _verdict(case, record, UNTAGGED)


def _verdict(case: Case, record: IncidentRepository, check: Check) -> Case:
    """Lets ``check`` have failed at the verdict."""
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    checks = [GOOD.record(), check.record()]
    fields: Any = {"status": "PARTIAL", "weak": [check.name], "checks": checks}
    record.set_target(case.incident_id, "ec2_instance", "i-1", **fields)
    record.move(case.incident_id, Status.CONTAINED, Status.PARTIAL)
    tell(record, "PARTIAL", record.meta(case.incident_id))
    notified(case.deployment)
    return case


def test_a_missing_check_is_not_mended_for_the_monitor(partial: Case) -> None:
    partial.see(GOOD)
    assert partial.check_all() == counts(held=1)
    assert started_checks(partial.deployment) == {}
    assert partial.meta["status"] == "PARTIAL"


def test_a_missing_check_keeps_its_last_state_in_a_recheck(partial: Case) -> None:
    partial.see(GOOD)
    for _ in range(2):
        partial.check()
        assert (partial.meta["status"], partial.target["weak"]) == ("PARTIAL", ["profile"])
        [kept] = [check for check in partial.target["checks"] if check["name"] == "profile"]
        assert (kept["ok"], kept["detail"]) == (False, "not replaced")
        assert "not replaced" in partial.target["verdict"]
    assert notified(partial.deployment) == ([], [])


def test_a_check_that_passes_again_is_mended(partial: Case) -> None:
    partial.see(GOOD)
    partial.check()
    partial.see(GOOD, TAGGED)
    assert partial.check_all() == counts(held=1)
    assert (partial.meta["status"], partial.target["weak"]) == ("CONTAINED", [])


def test_what_was_kept_is_so_after_a_loss_too(partial: Case) -> None:
    partial.see(OPEN)
    partial.check()
    assert partial.meta["status"] == "BREACHED"
    assert partial.target["breach"]["checks"] == ["eni-1"]
    partial.see(GOOD)
    partial.check()
    assert (partial.meta["status"], partial.target["weak"]) == ("PARTIAL", ["profile"])


def test_what_could_not_be_read_at_the_verdict_is_not_kept(
    case: Case, record: IncidentRepository
) -> None:
    """Some are there only while they cannot be read."""
    _verdict(case, record, UNREAD)
    case.see(GOOD)
    case.check()
    assert (case.meta["status"], case.target["weak"]) == ("CONTAINED", [])
