"""What stands between a decision and its execution."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from guardduty_response.decision import configuration
from guardduty_response.decision.configuration import FreezeWindow
from guardduty_response.decision.guardrails import GuardedTarget, Ruling, apply, in_freeze
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import MEMBER, PREFIX, SECURITY, Deployment

ARN = f"arn:aws:ec2:eu-central-1:{MEMBER}:instance/i-1"
WINDOW: FreezeWindow = {
    "name": "month end",
    "start": "2026-11-30T00:00:00Z",
    "end": "2026-12-02T00:00:00Z",
}


def _ruling(
    deployment: Deployment,
    record: IncidentRepository,
    mode: str = "auto",
    changes: Any = None,
    at: Any = None,
    **target: Any,
) -> Ruling:
    deployment.configure(changes or {})
    fields = {"id": "i-1", "arn": ARN, "tags": {}, "principals": [], **target}
    targets = [cast(GuardedTarget, fields)]
    return apply(configuration.load(), record, mode, "ec2_instance", MEMBER, targets, at)


@pytest.mark.parametrize(
    ("account", "path", "name", "alarm"),
    [
        (MEMBER, "/", "responder-ec2-instance", True),
        (MEMBER, "/other/", "responder-ec2-instance", False),
        (MEMBER, "/", "playbook-ec2-instance", False),  # of the security account alone
        (SECURITY, "/", "playbook-ec2-instance", True),
        (SECURITY, "/", "anything", True),
        (SECURITY, "/other/", "playbook-ec2-instance", False),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "approve", "dry_run"])
def test_the_response_itself_is_an_alarm(
    deployment: Deployment,
    record: IncidentRepository,
    account: str,
    path: str,
    name: str,
    alarm: bool,
    mode: str,
) -> None:
    deployment.configure({})
    role = f"arn:aws:iam::{account}:role{path}{PREFIX}-{name}"
    ruling = apply(
        configuration.load(),
        record,
        mode,
        "ec2_instance",
        account,
        [{"id": "i-1", "arn": ARN, "principals": [role]}],
    )
    assert ruling.skip is None and bool(ruling.alarm) is alarm
    assert not alarm or str(ruling.alarm).startswith(f"{role} is a role of the response itself")


def test_nothing_in_the_way(deployment: Deployment, record: IncidentRepository) -> None:
    assert _ruling(deployment, record) == Ruling("auto")


@pytest.mark.parametrize("mode", ["auto", "approve", "dry_run"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"paused": True}, "paused"),
        ({"guardrails.exempt_accounts": [MEMBER]}, f"account {MEMBER} is exempt"),
        ({"guardrails.exempt_resources": ["i-1"]}, "i-1 is exempt"),
        (
            {"guardrails.exempt_resources": ["arn:aws:ec2:*:instance/i-1"]},
            "exempt_resources: arn:aws:ec2:",
        ),
        ({"guardrails.exempt_principals": ["*BreakGlass*"]}, "BreakGlass.*exempt_principals"),
        ({"guardrails.management_account_id": MEMBER}, "management account"),
    ],
)
def test_what_lets_nothing_act(
    deployment: Deployment, record: IncidentRepository, mode: str, changes: Any, said: str
) -> None:
    ruling = _ruling(
        deployment, record, mode, changes, principals=["arn:aws:iam::222222222222:role/BreakGlass"]
    )
    assert ruling.skip is not None
    assert re.search(said, ruling.skip)
    assert deployment.items("BREAKER") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"guardrails.exempt_accounts": ["333333333333"]},
        {"guardrails.exempt_resources": ["i-2", "i-"]},
        {"guardrails.exempt_principals": ["BreakGlass"]},
        {"guardrails.management_account_id": "333333333333"},
    ],
)
def test_exemptions_of_others(
    deployment: Deployment, record: IncidentRepository, changes: Any
) -> None:
    principals = ["arn:aws:iam::222222222222:role/x"]
    ruling = _ruling(deployment, record, changes=changes, principals=principals)
    assert ruling.skip is None


# -- the tag ---------------------------------------------------------------------------------------

TAG = {"guardduty-response": "ask"}


def test_a_tag_turns_auto_into_approve_and_says_where_to_look(
    deployment: Deployment, record: IncidentRepository
) -> None:
    ruling = _ruling(deployment, record, tags=TAG)
    assert (ruling.mode, ruling.skip) == ("approve", None)
    assert "i-1 carries the tag guardduty-response=ask" in ruling.reasons[0]
    assert "CreateTags" in ruling.reasons[0]


@pytest.mark.parametrize("mode", ["approve", "dry_run"])
def test_a_tag_changes_nothing_else(
    deployment: Deployment, record: IncidentRepository, mode: str
) -> None:
    assert _ruling(deployment, record, mode, tags=TAG) == Ruling(mode)


@pytest.mark.parametrize(
    "tags",
    [
        {"guardduty-response": "off"},
        {"guardduty-response": "ASK"},
        {"exempt": "true"},
        {"Guardduty-Response": "ask"},
    ],
)
def test_no_other_tag_stops_a_response(
    deployment: Deployment, record: IncidentRepository, tags: dict[str, str]
) -> None:
    assert _ruling(deployment, record, tags=tags) == Ruling("auto")


def test_the_tag_can_be_switched_off(deployment: Deployment, record: IncidentRepository) -> None:
    assert _ruling(
        deployment, record, changes={"guardrails.approval_tag": None}, tags=TAG
    ) == Ruling("auto")


# -- freeze windows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "frozen"),
    [
        (datetime(2026, 11, 29, 23, 59, 59, 999999, UTC), False),
        (datetime(2026, 11, 30, tzinfo=UTC), True),
        (datetime(2026, 12, 1, 23, 59, 59, 999999, UTC), True),
        (datetime(2026, 12, 2, tzinfo=UTC), False),
    ],
)
def test_a_freeze_begins_with_its_start_and_is_over_at_its_end(
    deployment: Deployment, record: IncidentRepository, at: datetime, frozen: bool
) -> None:
    assert in_freeze([WINDOW], at) == ("month end" if frozen else None)
    ruling = _ruling(deployment, record, changes={"guardrails.freeze_windows": [WINDOW]}, at=at)
    assert ruling.mode == ("approve" if frozen else "auto")
    assert ("month end" in " ".join(ruling.reasons)) == frozen


def test_a_freeze_may_stand_in_another_time_zone() -> None:
    window: FreezeWindow = {
        "name": "w",
        "start": "2026-11-30T00:00:00+02:00",
        "end": "2026-11-30T01:00:00+02:00",
    }
    assert in_freeze([window], datetime(2026, 11, 29, 22, 30, tzinfo=UTC)) == "w"


def test_a_freeze_is_judged_by_the_present(
    deployment: Deployment, record: IncidentRepository
) -> None:
    moment = datetime.now(UTC)
    edges = [(moment + timedelta(hours=n)).isoformat().replace("+00:00", "Z") for n in (-1, 1)]
    windows = [{"name": "now", "start": edges[0], "end": edges[1]}]
    assert (
        _ruling(deployment, record, changes={"guardrails.freeze_windows": windows}).mode
        == "approve"
    )


# -- the circuit breaker ---------------------------------------------------------------------------


def test_more_resources_than_allowed_ask_a_person(
    deployment: Deployment, record: IncidentRepository
) -> None:
    changes = {"guardrails.circuit_breaker": {"targets": 2, "minutes": 60}}
    modes = [_ruling(deployment, record, changes=changes, arn=f"{ARN}{n}").mode for n in range(4)]
    assert modes == ["auto", "auto", "approve", "approve"]
    ruling = _ruling(deployment, record, changes=changes, arn=f"{ARN}9")
    assert ruling.reasons[0].startswith(
        "auto became approve: 5 resources in 60 minutes exceed the circuit breaker's 2"
    )


def test_a_storm_of_findings_is_told_as_at_least_so_many(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than shows that the limit is exceeded."""
    monkeypatch.setattr("guardduty_response.incident.circuit_breaker.PAGE", 4)
    changes = {"guardrails.circuit_breaker": {"targets": 2, "minutes": 60}}
    for number in range(9):
        ruling = _ruling(deployment, record, changes=changes, arn=f"{ARN}{number}")
    assert ruling.mode == "approve"
    assert "at least 4 resources in 60 minutes exceed the circuit breaker's 2" in ruling.reasons[0]


def test_a_repeated_target_is_counted_once(
    deployment: Deployment, record: IncidentRepository
) -> None:
    changes = {"guardrails.circuit_breaker": {"targets": 1, "minutes": 60}}
    assert [_ruling(deployment, record, changes=changes).mode for _ in range(5)] == ["auto"] * 5


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("targets_per_account", f"3 resources of account {MEMBER} in 60 minutes exceed"),
        ("targets_in_all", "3 resources of all playbooks in 60 minutes exceed"),
    ],
)
def test_limits_of_an_account_and_of_all_ask_too(
    deployment: Deployment, record: IncidentRepository, limit: str, sentence: str
) -> None:
    breaker = {"targets": 10, "minutes": 60, limit: 2}
    changes = {"guardrails.circuit_breaker": breaker}
    record.circuit_breaker.count_targets("iam_principal", MEMBER, [f"{ARN}-a"], 60)
    assert _ruling(deployment, record, changes=changes, arn=f"{ARN}-b").mode == "auto"
    ruling = _ruling(deployment, record, changes=changes, arn=f"{ARN}-c")
    assert ruling.mode == "approve"
    assert len(ruling.reasons) == 1 and sentence in ruling.reasons[0]


def test_another_account_does_not_count(deployment: Deployment, record: IncidentRepository) -> None:
    breaker = {"targets": 10, "minutes": 60, "targets_per_account": 1, "targets_in_all": None}
    record.circuit_breaker.count_targets("ec2_instance", "999999999999", [f"{ARN}-a"], 60)
    changes = {"guardrails.circuit_breaker": breaker}
    assert _ruling(deployment, record, changes=changes).mode == "auto"


@pytest.mark.parametrize("mode", ["approve", "dry_run"])
def test_only_what_acts_by_itself_is_counted(
    deployment: Deployment, record: IncidentRepository, mode: str
) -> None:
    _ruling(deployment, record, mode)
    assert deployment.items("BREAKER") == []


def test_the_breaker_can_be_switched_off(
    deployment: Deployment, record: IncidentRepository
) -> None:
    assert _ruling(deployment, record, changes={"guardrails.circuit_breaker": None}) == Ruling(
        "auto"
    )


def test_every_reason_to_ask_is_said(deployment: Deployment, record: IncidentRepository) -> None:
    changes = {
        "guardrails.freeze_windows": [WINDOW],
        "guardrails.circuit_breaker": {"targets": 0, "minutes": 5},
    }
    ruling = _ruling(
        deployment, record, changes=changes, at=datetime(2026, 12, 1, tzinfo=UTC), tags=TAG
    )
    assert len(ruling.reasons) == 3
    assert all(reason.startswith("auto became approve: ") for reason in ruling.reasons)
