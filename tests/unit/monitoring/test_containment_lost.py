"""Whole executions of a recheck, functions and state machine together: what is seen and sent."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Check
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import later, load_finding
from tests.unit.fake_playbook import ARN, configure
from tests.unit.function_calls import notified, tell
from tests.unit.monitoring.contained_incident import BOB, GOOD, OPEN, TAGGED, UNREAD, UNTAGGED, Case


def _mode(case: Case, mode: str, **more: Any) -> None:
    configure(
        case.deployment,
        remediations={"CryptoCurrency:EC2/*": mode},
        **more,
    )


def test_what_holds_leaves_no_trace_but_its_time(case: Case) -> None:
    timeline, report = (
        case.deployment.timeline(case.incident_id),
        case.deployment.evidence(case.incident_id),
    )
    before = case.meta
    for _ in range(3):
        walk = case.check()
        assert len(walk.entered) <= 18
    assert case.deployment.timeline(case.incident_id) == timeline
    assert case.deployment.evidence(case.incident_id) == report
    assert notified(case.deployment) == ([], [])
    assert (case.meta["status"], case.meta["execution"]) == ("CONTAINED", before["execution"])
    assert case.meta["checked_at"] > before["updated_at"]
    assert case.deployment.items(f"RESOURCE#{ARN}") == [], "the lease is given back"


def test_in_auto_it_is_contained_again_once_and_told(case: Case) -> None:
    record = IncidentRepository("guardduty-response-incidents")
    record.before(
        case.incident_id,
        "ec2_instance",
        "i-1",
        "network",
        {"groups": ["sg-web"]},
    )
    case.see(OPEN, TAGGED)
    walk = case.check(BOB)
    assert walk.waited[0] == 2, "read twice before it is called undone"
    assert (walk.entered.count("Triage"), walk.entered.count("Close")) == (2, 1)
    assert (case.meta["status"], case.target["status"], case.contained()) == (
        "CONTAINED",
        "CONTAINED",
        2,
    )
    assert case.target["before"] == {"network": {"groups": ["sg-web"]}}, (
        "how it was before the first containment"
    )
    messages, escalations = case.deployment.messages(), case.deployment.messages("escalations")
    assert [message["MessageAttributes"]["event"]["Value"] for message in messages] == [
        "BREACHED",
        "CONTAINED",
    ]
    [escalation] = escalations
    assert escalation["Message"] == messages[0]["Message"]
    assert "Mode auto: it is contained again at once" in escalation["Message"]
    timeline = case.deployment.timeline(case.incident_id)
    assert [
        timeline.count(entry)
        for entry in ("contained again", "verdict BREACHED", "verdict CONTAINED")
    ] == [1, 1, 2]
    assert case.target["breach"]["ended"]
    case.check()
    assert notified(case.deployment) == ([], [])


def test_it_is_contained_again_also_after_an_earlier_restore(case: Case) -> None:
    """META remembers that it was reopened after a restore: that must not make it forget how the
    resource was.
    """
    record = IncidentRepository("guardduty-response-incidents")
    record.note(case.incident_id, previous="RESTORED")
    record.before(
        case.incident_id,
        "ec2_instance",
        "i-1",
        "network",
        {"groups": ["sg-web"]},
    )
    case.see(OPEN, TAGGED)
    case.check(BOB)
    assert case.meta["status"] == "CONTAINED"
    assert case.target["before"] == {"network": {"groups": ["sg-web"]}}


def test_who_is_looked_up_when_no_event_told(case: Case) -> None:
    asked: list[Any] = []

    def find_actors(
        context: Any,
        target: Any,
        failed_checks: list[Check],
        since: str,
        seen: Any,
        watched: list[str],
    ) -> list[Any]:
        asked.append(([entry.name for entry in failed_checks], bool(since), seen, watched))
        return [BOB]

    case.fake.find_actors = find_actors  # type: ignore[attr-defined]
    case.see(OPEN, TAGGED)
    case.check()
    assert asked == [(["eni-1"], True, None, ["eni-1"])]
    [escalation] = case.deployment.messages("escalations")
    for part in BOB.values():
        assert part in escalation["Message"]


def test_in_approve_it_is_escalated_once_and_who_is_told_when_it_is_known(case: Case) -> None:
    found: list[Any] = []
    case.fake.find_actors = lambda *_: list(found)  # type: ignore[attr-defined]
    _mode(case, "approve")
    case.see(OPEN, TAGGED)
    case.check()
    assert (case.meta["status"], case.target["status"], case.contained()) == (
        "BREACHED",
        "BREACHED",
        1,
    )
    [escalation] = case.deployment.messages("escalations")
    for part in (
        "not visible in CloudTrail yet",
        "a person decides",
        "the mode is approve",
        "start-execution",
        f'"incident_id": "{case.incident_id}"',
        '"close": true',
        case.meta["finding_key"],
    ):
        assert part in escalation["Message"], escalation["Message"]
    case.deployment.messages()
    case.check()
    assert notified(case.deployment) == ([], [])
    found.append(BOB)
    case.check()
    [escalation] = case.deployment.messages("escalations")
    assert BOB["who"] in escalation["Message"]
    case.deployment.messages()
    found.clear()
    case.check()
    assert case.target["breach"]["by"] == [BOB], "what is known stays known"
    assert notified(case.deployment) == ([], [])
    assert case.deployment.timeline(case.incident_id).count("verdict BREACHED") == 2


def test_what_may_be_the_victim_is_left_to_a_person(case: Case) -> None:
    """Nobody is promised that it is contained again at once."""
    record = IncidentRepository("guardduty-response-incidents")
    record.note(case.incident_id, in_doubt="it may be the victim")
    case.see(OPEN, TAGGED)
    case.check(BOB)
    [escalation] = case.deployment.messages("escalations")
    assert "contained again at once" not in escalation["Message"]
    assert "It is not contained again automatically" in escalation["Message"]


def test_what_comes_undone_besides_is_told_too(case: Case) -> None:
    _mode(case, "approve")
    case.see(OPEN, TAGGED)
    case.check()
    case.see(OPEN, UNTAGGED)
    case.check()
    assert notified(case.deployment) == (["BREACHED", "BREACHED"], ["BREACHED", "BREACHED"])
    case.see(GOOD, UNTAGGED)
    case.check()
    assert notified(case.deployment) == ([], [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"guardrails.exempt_accounts": ["222222222222"]}, "exempt_accounts"),
        (
            {
                "guardrails.freeze_windows": [
                    {
                        "name": "close",
                        "start": "2020-01-01T00:00:00Z",
                        "end": "2100-01-01T00:00:00Z",
                    }
                ]
            },
            "the freeze window 'close'",
        ),
        ({"guardrails.circuit_breaker": {"targets": 0, "minutes": 60}}, "circuit breaker"),
    ],
)
def test_a_guardrail_leaves_it_to_a_person_who_is_told_why_once(
    case: Case, changes: Any, reason: str
) -> None:
    configure(case.deployment, **changes)
    case.see(OPEN, TAGGED)
    for _ in range(2):
        case.check(BOB)
    assert (case.meta["status"], case.contained()) == ("BREACHED", 1)
    lost, problem = case.deployment.messages("escalations")
    assert "BREACHED" in lost["Subject"] and "PROBLEM" in problem["Subject"]
    assert reason in problem["Message"] and "start-execution" in problem["Message"]
    assert case.deployment.timeline(case.incident_id).count("not contained again") == 1


def test_a_recurrence_that_finds_it_lost_tells_too_why_a_person_must_act(case: Case) -> None:
    """The finding came again, and its execution only verified: the promise of the verdict's
    message is kept, or that it is not is told.
    """
    configure(case.deployment, **{"guardrails.exempt_accounts": ["222222222222"]})
    case.see(OPEN, TAGGED)
    case.run(later(load_finding()))
    assert (case.meta["status"], case.contained()) == ("BREACHED", 1)
    lost, problem = case.deployment.messages("escalations")
    assert "BREACHED" in lost["Subject"] and "PROBLEM" in problem["Subject"]
    assert "exempt_accounts" in problem["Message"]
    notified(case.deployment)
    case.check()
    assert notified(case.deployment) == ([], []), "once"
    assert case.deployment.timeline(case.incident_id).count("not contained again") == 1


def test_paused_it_is_still_watched_and_nothing_acts(case: Case) -> None:
    configure(case.deployment, paused=True)
    case.see(OPEN, TAGGED)
    case.check()
    assert (case.meta["status"], case.contained()) == ("BREACHED", 1)
    assert "the response is paused" in case.deployment.messages("escalations")[0]["Message"]


def test_what_a_person_mended_is_told_as_contained(case: Case) -> None:
    _mode(case, "approve")
    case.see(OPEN, TAGGED)
    case.check()
    case.see(GOOD, TAGGED)
    case.check()
    assert case.meta["status"] == "CONTAINED"
    assert notified(case.deployment) == (["BREACHED", "CONTAINED"], ["BREACHED"])
    assert case.target["breach"]["ended"]


def test_a_new_interface_that_is_open_is_a_breach(case: Case) -> None:
    _mode(case, "approve")
    case.see(
        GOOD,
        TAGGED,
        Check("eni-2", False, "eni-2 is OPEN", fatal=True),
    )
    case.check()
    assert case.target["breach"]["checks"] == ["eni-2"]


def _became_partial(case: Case, record: IncidentRepository) -> None:
    record.move(
        case.incident_id,
        Status.CONTAINED,
        Status.PARTIAL,
    )
    tell(
        record,
        "PARTIAL",
        record.meta(case.incident_id),
    )
    notified(case.deployment)


def _was_weak(case: Case, record: IncidentRepository) -> None:
    """Lets the verdict have been PARTIAL, because of the profile."""
    record.set_target(
        case.incident_id,
        "ec2_instance",
        "i-1",
        status="PARTIAL",
        weak=["profile"],
    )
    _became_partial(case, record)


def test_partial_is_a_breach_only_where_it_is_worse_than_it_was(
    case: Case, record: IncidentRepository
) -> None:
    _mode(case, "approve")
    _was_weak(case, record)
    case.see(GOOD, UNTAGGED)
    case.check()
    assert (case.meta["status"], notified(case.deployment)) == ("PARTIAL", ([], []))
    case.see(OPEN, UNTAGGED)
    case.check()
    assert case.meta["status"] == "BREACHED"
    assert case.target["breach"]["checks"] == ["eni-1"]
    case.see(GOOD, UNTAGGED)
    case.check()
    assert case.meta["status"] == "PARTIAL", "as it was at the verdict"


def test_what_was_weak_and_then_mended_is_a_breach_when_it_fails_again(
    case: Case, record: IncidentRepository
) -> None:
    _mode(case, "approve")
    _was_weak(case, record)
    case.check()
    assert case.meta["status"] == "CONTAINED"
    case.see(GOOD, UNTAGGED)
    case.check()
    assert case.meta["status"] == "BREACHED"


def test_seen_undone_for_a_moment_only_is_no_breach(case: Case) -> None:
    """AWS is eventually consistent: the second reading counts."""
    case.see(OPEN, TAGGED)
    read = case.fake.verify

    def once(context: Any, target: Any) -> Any:
        got = read(context, target)
        case.see(GOOD, TAGGED)
        return got

    case.fake.verify = once  # type: ignore[method-assign]
    case.check()
    assert (case.meta["status"], notified(case.deployment)) == ("CONTAINED", ([], []))


def test_what_cannot_be_read_is_no_breach_and_told_once(case: Case) -> None:
    case.see(GOOD, UNREAD)
    for _ in range(3):
        case.check()
    assert (case.meta["status"], case.target["status"], case.contained()) == (
        "CONTAINED",
        "CONTAINED",
        1,
    )
    [message] = case.deployment.messages("escalations")
    assert (
        "could not be verified: recheck failed: NotRead" in message["Message"]
        and "profile could not be read" in message["Message"]
    )
    case.deployment.messages()
    case.see(GOOD, TAGGED)
    case.check()
    assert case.deployment.timeline(case.incident_id)[-1] == "verified again"
    case.see(GOOD, UNREAD)
    case.check()
    assert notified(case.deployment) == (["problem"], ["problem"])


def test_unread_beside_undone_is_a_breach(case: Case) -> None:
    _mode(case, "approve")
    case.see(OPEN, UNREAD)
    case.check()
    assert case.target["breach"]["checks"] == ["eni-1"]


def test_a_role_that_cannot_be_assumed_is_told_once(case: Case) -> None:
    case.fake.error = RuntimeError("cannot assume arn:x")
    for _ in range(3):
        case.check()
    assert case.meta["status"] == "CONTAINED"
    [message] = case.deployment.messages("escalations")
    assert "cannot assume arn:x" in message["Message"]


def test_who_cannot_be_found_keeps_nobody_from_hearing_of_it(case: Case) -> None:
    def find_actors(*_: Any) -> list[Any]:
        raise RuntimeError("AccessDenied: cloudtrail:LookupEvents")

    case.fake.find_actors = find_actors  # type: ignore[attr-defined]
    case.see(OPEN, TAGGED)
    case.check()
    assert (
        "CloudTrail could not be queried" in case.deployment.messages("escalations")[0]["Message"]
    )
    assert case.meta["status"] == "CONTAINED"
