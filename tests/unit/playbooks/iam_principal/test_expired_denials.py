"""What denies a session of a role leaves the role when the session is over, also while the role is
contained: none of that is a loss, and a restore holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from guardduty_response.containment.expired_denials import ExpiredDenials
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.iam_principal.iam_lab import PREFIX, IamLab


@contextmanager
def hours_on(hours: float) -> Iterator[None]:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        yield


@pytest.mark.parametrize("option", ["session", "role"])
def test_a_session_that_is_over_is_denied_no_more(iam: IamLab, option: str) -> None:
    iam.options["revoke_sessions"] = option
    target = iam.role().plan()
    assert iam.respond(target).status is Status.CONTAINED
    denials = ExpiredDenials(TargetContext(iam.context(), target), iam.ids["arn"])
    with hours_on(11):
        assert denials.take_out()
        assert iam.role_dump()["policies"], "the session may live for another hour"
    with hours_on(13):
        assert denials.take_out() == ""
        assert iam.role_dump()["policies"] == {}
        assert f"{PREFIX}-sessions" not in iam.role_dump()["tags"]
        assert iam.role_dump()["tags"][PREFIX] == "quarantined", "the role is contained still"
        assert iam.actions()["sessions_expired app"] == "DONE"
        assert iam.verify(target).status is Status.CONTAINED
        assert iam.restore().status is Status.RESTORED
        assert iam.role_dump() == {"policies": {}, "tags": {}}
