"""Forensics first, evidence, finish and terminate: what the functions after and beside
containment do with a playbook.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.decision import policy
from guardduty_response.decision.configuration import load
from guardduty_response.errors import ConfigError, ResponseError, TransientError
from guardduty_response.functions import collect, respond, terminate
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event, Status

from tests.support.patience import until
from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call

HANDLERS: dict[str, Any] = {
    **dict.fromkeys(("plan", "contain", "verify", "finish"), respond),
    **dict.fromkeys(("first", "evidence", "collect"), collect),
    "terminate": terminate,
}
TARGET = {
    "kind": "ec2_instance",
    "id": "i-1",
    "arn": ARN,
    "account_id": "222222222222",
    "region": "us-east-1",
}


def _run(step_name: str, incident_id: str, target: Any = None, **event: Any) -> dict[str, Any]:
    whole = {
        "verb": step_name,
        "incident_id": incident_id,
        "execution": EXECUTION,
        "seconds_left": 9,
        **event,
    }
    return dict(
        HANDLERS[step_name].handler(
            whole if target is None else {**whole, "targets": [target]}, None
        )
    )


def _contained(fake: FakePlaybook, *names: str) -> str:
    """An incident whose targets are contained, and told so."""
    fake.ids = list(names or ("i-1",))
    incident_id = str(
        call(
            "open",
            event=load_finding(),
            execution=EXECUTION,
        )["incident_id"]
    )
    fake.steps["verify"] = StepResult(status=Status.CONTAINED)
    targets = _run("plan", incident_id)["targets"]
    for target in targets:
        _run("verify", incident_id, target)
    call(
        "verdict",
        incident_id=incident_id,
        target=targets[0],
        error="",
    )
    fake.calls.clear()
    return incident_id


@pytest.mark.parametrize(
    ("option", "next_step"), [("terminate", "terminate"), ("stop", "close"), ("none", "close")]
)
def test_what_is_to_be_terminated_is_terminated_after_finish(
    deployment: Deployment, fake: FakePlaybook, option: str, next_step: str
) -> None:
    configure(deployment, **{"playbooks.fake": {"finish": option}})
    assert _run("finish", _contained(fake))["next"] == next_step


@pytest.mark.parametrize("step_name", ["collect", "finish", "terminate"])
def test_a_phase_waits_for_the_quickest_of_its_targets(
    deployment: Deployment, fake: FakePlaybook, step_name: str
) -> None:
    incident_id = _contained(fake, "i-1", "i-2")
    waits = {"i-1": 60, "i-2": 15}

    def step(context: Context, target: Target) -> StepResult:
        return StepResult(done=False, wait_seconds=waits[target.id])

    setattr(fake, step_name, step)
    assert _run(step_name, incident_id) == {
        "done": False,
        "wait_seconds": 15,
        "next": "close",
    }
    setattr(
        fake,
        step_name,
        lambda context, target: StepResult(detail="all of it"),
    )
    assert _run(step_name, incident_id)["done"]
    assert deployment.timeline(incident_id).count(f"{step_name} ended") == 2


@pytest.mark.parametrize(
    ("finish", "next_step"), [("none", "close"), ("stop", "finish"), ("terminate", "terminate")]
)
def test_what_comes_after_the_evidence(
    deployment: Deployment, fake: FakePlaybook, finish: str, next_step: str
) -> None:
    configure(deployment, **{"playbooks.fake": {"finish": finish}})
    assert _run("collect", _contained(fake))["next"] == next_step


@pytest.mark.parametrize(
    ("planned", "now", "next_step"),
    [
        ("none", "stop", "close"),
        ("stop", "terminate", "finish"),
        ("terminate", "stop", "finish"),
        ("terminate", "none", "close"),
    ],
)
def test_an_apply_takes_from_what_was_planned_and_adds_nothing(
    deployment: Deployment, fake: FakePlaybook, planned: str, now: str, next_step: str
) -> None:
    """The plan, and whoever approved it, said what would be done with the instance."""
    seen = []

    def step(context: Context, target: Target) -> StepResult:
        seen.append(context.options["finish"])
        return StepResult()

    fake.finish = step  # type: ignore[method-assign]
    configure(deployment, **{"playbooks.fake": {"finish": planned}})
    incident_id = _contained(fake)
    configure(deployment, **{"playbooks.fake": {"finish": now}})
    assert _run("collect", incident_id)["next"] == next_step
    _run("finish", incident_id)
    assert seen == [
        min(
            planned,
            now,
            key=["none", "stop", "terminate"].index,
        )
    ]


def test_without_a_verdict_evidence_is_completed_and_nothing_is_finished(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    configure(deployment, **{"playbooks.fake": {"finish": "terminate"}})
    incident_id = str(
        call(
            "open",
            event=load_finding(),
            execution=EXECUTION,
        )["incident_id"]
    )
    _run("plan", incident_id)
    assert _run("collect", incident_id) == {
        "done": True,
        "wait_seconds": 0,
        "next": "close",
    }
    assert [name for name, _ in fake.calls] == ["collect"]


@pytest.mark.parametrize("step_name", ["collect", "finish", "terminate"])
def test_a_reading_of_old_containment_ends_at_once(
    deployment: Deployment, fake: FakePlaybook, step_name: str
) -> None:
    configure(deployment, **{"playbooks.fake": {"finish": "terminate"}})
    incident_id = _contained(fake)
    answer = _run(step_name, incident_id, verify_only=True)
    assert answer | {"done": True, "next": "close"} == answer
    assert not answer.get("again")
    assert fake.calls == []


@pytest.mark.parametrize("step_name", ["first", "evidence"])
@pytest.mark.parametrize("link", [{"attach": "inc-2"}, {"verify_only": True}])
def test_evidence_belongs_to_the_incident_that_contained(
    deployment: Deployment, fake: FakePlaybook, step_name: str, link: dict[str, Any]
) -> None:
    incident_id = _contained(fake)
    assert _run(
        step_name,
        incident_id,
        {**TARGET, **link},
    )["done"]
    assert fake.calls == []


@pytest.mark.parametrize("step_name", ["collect", "finish", "terminate"])
def test_what_fails_at_the_end_fails_for_its_target_alone(
    deployment: Deployment, fake: FakePlaybook, step_name: str
) -> None:
    incident_id = _contained(fake, "i-1", "i-2")

    def broken(context: Context, target: Target) -> StepResult:
        if target.id == "i-1":
            raise ValueError("cannot")
        return StepResult()

    setattr(fake, step_name, broken)
    assert _run(step_name, incident_id)["done"]
    first, second = deployment.targets(incident_id)
    assert first["actions"][step_name]["status"] == "FAILED"
    assert "i-1 failed (ValueError: cannot)" in first["actions"][step_name]["detail"]
    assert second["actions"] == {}


def test_throttling_is_the_machines_to_repeat(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = _contained(fake)

    def throttled(context: Context, target: Target) -> StepResult:
        raise ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "Describe")

    fake.collect = throttled  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        _run("collect", incident_id)
    assert deployment.targets(incident_id)[0]["actions"] == {}


@pytest.mark.parametrize("step_name", ["collect", "finish", "terminate"])
def test_work_renews_its_lease(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, step_name: str
) -> None:
    incident_id = _contained(fake)
    record.leases.acquire(
        ARN,
        EXECUTION,
        incident_id,
        1,
    )
    _run(step_name, incident_id)

    def renewed() -> bool:
        [lease] = deployment.items(f"RESOURCE#{ARN}")
        return int(lease["expires"]) > time.time() + 800

    until(renewed, "the lease is renewed")


def test_forensics_first_knows_how_long_it_has(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = _contained(fake)
    fake.steps["first"] = StepResult(done=False, wait_seconds=2)
    assert (
        _run(
            "first",
            incident_id,
            TARGET,
            seconds_left=7,
        )["wait_seconds"]
        == 2
    )
    assert fake.left == 7


@pytest.mark.parametrize(
    ("finding_type", "seconds"),
    [
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS", 10),  # exact before any glob
        ("CryptoCurrency:EC2/Other", 30),  # the most literal glob
        ("Backdoor:EC2/Spambot", 120),
        ("Impact:S3/x", 60),  # none: the default
    ],
)
def test_the_deadline_is_the_finding_types(
    deployment: Deployment, finding_type: str, seconds: int
) -> None:
    deadlines = {
        "*:EC2/*": 120,
        "CryptoCurrency:EC2/*": 30,
        "CryptoCurrency:EC2/BitcoinTool.B!DNS": 10,
    }
    deployment.configure({"forensics.when": "before", "forensics.deadlines": deadlines})
    assert policy.collect_first_seconds(load(), finding_type) == seconds
    deployment.configure({"forensics.when": "after", "forensics.deadlines": deadlines})
    assert policy.collect_first_seconds(load(), finding_type) == 0


def test_equally_literal_deadlines_mean_the_shorter(deployment: Deployment) -> None:
    deployment.configure(
        {"forensics.when": "before", "forensics.deadlines": {"A*:EC2/B": 9, "A:EC2/B*": 8}}
    )
    assert policy.collect_first_seconds(load(), "A:EC2/B") == 8


def test_the_plan_says_how_long_containment_may_wait(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    configure(deployment, **{"forensics.when": "before", "forensics.deadline_seconds": 45})
    incident_id = str(
        call(
            "open",
            event=load_finding(),
            execution=EXECUTION,
        )["incident_id"]
    )
    assert _run("plan", incident_id)["collect_first_seconds"] == 45
    assert (
        _run(
            "plan",
            incident_id,
            verify_only=True,
        )["collect_first_seconds"]
        == 0
    )


def test_unknown_verbs_and_missing_code(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ResponseError, match="has no step 'contain'; its steps are first, evidence, collect"
    ):
        collect.handler({"verb": "contain"}, None)
    with pytest.raises(ResponseError, match="has no step 'collect'; its steps are terminate"):
        terminate.handler({"verb": "collect"}, None)
    monkeypatch.setenv("GDR_PLAYBOOK", "unheard_of")
    with pytest.raises(ConfigError, match=r"holds no unheard_of\.terminate"):
        terminate.handler(
            {
                "verb": "terminate",
                "incident_id": "inc-1",
                "execution": EXECUTION,
            },
            None,
        )


# -- a target that is gone -------------------------------------------------------------------------


def _gone(deployment: Deployment, fake: FakePlaybook) -> str:
    """An incident whose target is gone, and told so."""
    incident_id = _contained(fake)
    record = IncidentRepository("guardduty-response-incidents")
    record.set_target(
        incident_id,
        "ec2_instance",
        "i-1",
        status=Status.GONE,
    )
    record.transition(incident_id, Event.GONE)
    return incident_id


@pytest.mark.parametrize("finishes", [True, False])
def test_a_target_that_is_gone_is_finished_where_the_playbook_says_so(
    deployment: Deployment, fake: FakePlaybook, finishes: bool
) -> None:
    incident_id = _gone(deployment, fake)
    if finishes:
        fake.FINISHES_GONE = True  # type: ignore[attr-defined]
    assert _run("finish", incident_id)["done"]
    assert [name for name, _ in fake.calls] == ["finish"] * finishes


def test_what_is_found_open_of_a_target_that_is_gone_escalates(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """Its credentials live on, and could not be denied: somebody has to hear of it."""
    incident_id = _gone(deployment, fake)
    deployment.messages()
    fake.FINISHES_GONE = True  # type: ignore[attr-defined]

    def finish(context: Context, target: Target) -> StepResult:
        context.record.set_target(
            incident_id, target.kind, target.id, status=Status.PARTIAL, verdict="one lives on"
        )
        return StepResult()

    fake.finish = finish  # type: ignore[method-assign]
    _run("finish", incident_id)
    call(
        "close",
        incident_id=incident_id,
        decision="act",
        error="",
    )
    assert deployment.meta(incident_id)["status"] == "PARTIAL"
    texts = [message["Message"] for message in deployment.messages()]
    assert any("one lives on" in text for text in texts)
    assert deployment.messages("escalations")
