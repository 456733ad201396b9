"""The playbook function: plan's decisions, leases, and what each verb writes."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment.contract import StepResult
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import (
    ConfigError,
    NoTarget,
    ResponseError,
    RoleUnavailable,
    TargetGone,
    TransientError,
)
from guardduty_response.functions import respond, steps
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.core_helpers import EXECUTION, call, emission, told
from tests.unit.fake_playbook import ARN, Fake, configure
from tests.unit.lambda_world import EXECUTIONS, World

SECOND = f"{EXECUTIONS}incident:two"


def _open(execution: str = EXECUTION, **event: Any) -> str:
    return str(call("open", event={**load_finding(), **event}, execution=execution)["incident_id"])


def _run(
    verb: str, incident_id: str, target: Any = None, execution: str = EXECUTION, **event: Any
) -> dict[str, Any]:
    whole = {"verb": verb, "incident_id": incident_id, "execution": execution, **event}
    return respond.handler(whole if target is None else {**whole, "target": target}, None)


def _lease(world: World, arn: str = ARN) -> list[str]:
    return [item["owner"] for item in world.items(f"RESOURCE#{arn}")]


# -- plan: what is decided -------------------------------------------------------------------------


def test_to_act(world: World, fake: Fake) -> None:
    incident_id = _open()
    answer = _run("plan", incident_id)
    [target] = answer["targets"]
    assert (answer["decision"], answer["error"]) == ("act", "")
    assert (target["id"], target["scope"], target["attach"]) == ("i-1", {"volumes": ["vol-1"]}, "")
    meta = world.meta(incident_id)
    assert (meta["status"], meta["decision"], [entry["arn"] for entry in meta["targets"]]) == (
        "CONTAINING",
        "act",
        [ARN],
    )
    assert [
        (entry["id"], entry["status"], entry["actions"]) for entry in world.targets(incident_id)
    ] == [("i-1", "OPEN", {})]
    assert _lease(world) == [EXECUTION]


@pytest.mark.parametrize(
    ("mode", "decision", "status"), [("approve", "approve", "OPEN"), ("dry_run", "dry_run", "OPEN")]
)
def test_to_ask_or_to_rehearse(
    world: World, fake: Fake, mode: str, decision: str, status: str
) -> None:
    configure(world, remediations={"*": mode})
    incident_id = _open()
    answer = _run("plan", incident_id)
    assert answer["decision"] == decision
    assert answer.get("approval_timeout_seconds") == (3600 if mode == "approve" else None)
    assert len(answer["targets"]) == (1 if mode == "approve" else 0)
    assert world.meta(incident_id)["status"] == status
    [stored] = world.targets(incident_id)
    action = stored["actions"]["quarantine_network"]
    assert (action["status"], action["detail"]) == ("PLANNED", "2 interfaces")
    assert _lease(world) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"paused": True}, "paused = true"),
        ({"guardrails.exempt_resources": ["i-1"]}, "i-1 is exempt"),
        ({"guardrails.exempt_principals": ["role/admin"]}, "role/admin on i-1 is exempt"),
        ({"remediations": {}}, "the policy inside the machine says notify"),
        (
            {"account_remediations": {"222222222222": {"*": "off"}}},
            "the policy inside the machine says off",
        ),
    ],
)
def test_nothing_may_act(world: World, fake: Fake, changes: Any, said: str) -> None:
    """Also when the policy changed after the incident was opened: the machine asks it again."""
    incident_id = _open()
    configure(world, **changes)
    fake.principals = ["role/admin"]
    assert _run("plan", incident_id) == {
        "decision": "skip",
        "error": "",
        "targets": [],
        "collect_first_seconds": 0,
        "hand_over": [],
    }
    meta = world.meta(incident_id)
    assert meta["decision"] == "skip"
    assert said in meta["reasons"][-1]
    assert _lease(world) == []
    call("close", incident_id=incident_id, decision="skip")
    assert said in world.messages()[0]["Message"]


@pytest.mark.parametrize(("mode", "decision"), [("auto", "approve"), ("dry_run", "dry_run")])
def test_a_tag_can_only_ask(world: World, fake: Fake, mode: str, decision: str) -> None:
    configure(world, remediations={"*": mode})
    fake.tags = {"guardduty-response": "ask"}
    incident_id = _open()
    assert _run("plan", incident_id)["decision"] == decision
    assert ("carries the tag" in " ".join(world.meta(incident_id)["reasons"])) == (mode == "auto")


@pytest.mark.parametrize("mode", ["auto", "approve", "dry_run"])
def test_a_sample_is_only_rehearsed(world: World, fake: Fake, mode: str) -> None:
    configure(world, remediations={"*": mode})
    incident_id = _open(**load_finding("sample_cryptocurrency_ec2_bitcointool_b_dns"))
    assert _run("plan", incident_id)["decision"] == "dry_run"
    assert "a sample finding is only rehearsed" in world.meta(incident_id)["reasons"]


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (TargetGone("i-1 is terminated"), "gone"),
        (NoTarget("the finding names no instance"), "failed"),
        (RoleUnavailable("cannot assume arn:x"), "failed"),
    ],
)
def test_nothing_to_act_on(world: World, fake: Fake, error: Exception, decision: str) -> None:
    incident_id, fake.error = _open(), error
    assert _run("plan", incident_id) == {
        "decision": decision,
        "error": str(error),
        "targets": [],
        "collect_first_seconds": 0,
        "hand_over": [],
    }
    assert world.meta(incident_id)["reasons"] == [str(error)]


def test_an_empty_plan_is_a_failure(world: World, fake: Fake) -> None:
    incident_id, fake.ids = _open(), []
    answer = _run("plan", incident_id)
    assert (answer["decision"], "found no resource" in answer["error"]) == ("failed", True)


def test_throttling_is_for_the_machine_to_repeat(world: World, fake: Fake) -> None:
    incident_id = _open()
    fake.error = ClientError(
        {"Error": {"Code": "RequestLimitExceeded", "Message": "slow"}}, "DescribeInstances"
    )
    with pytest.raises(TransientError):
        _run("plan", incident_id)
    assert world.meta(incident_id)["status"] == "OPEN"


def test_planning_twice_changes_nothing(world: World, fake: Fake) -> None:
    """Its answer was lost and the machine asks again: one count of the breaker, the same lease,
    the same ledger.
    """
    configure(world, **{"guardrails.circuit_breaker": {"targets": 1, "minutes": 60}})
    incident_id = _open()
    first = _run("plan", incident_id)
    IncidentRepository("guardduty-response-incidents").before(
        incident_id, "ec2_instance", "i-1", "interfaces", {"eni-1": ["sg-web"]}
    )
    assert _run("plan", incident_id) == first
    assert world.targets(incident_id)[0]["before"] == {"interfaces": {"eni-1": ["sg-web"]}}
    assert _lease(world) == [EXECUTION]


# -- plan: verification only -----------------------------------------------------------------------


def _contained(world: World, fake: Fake) -> str:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    fake.steps["verify"] = StepResult(status=Status.CONTAINED, detail="closed")
    _run("verify", incident_id, target)
    call("verdict", incident_id=incident_id, target=target, error="")
    call("close", incident_id=incident_id, decision="act")
    told(world)
    return incident_id


def test_a_contained_resource_is_only_read_again(
    world: World, fake: Fake, record: IncidentRepository
) -> None:
    incident_id = _contained(world, fake)
    assert emission(record, incident_id, SECOND) == "verify"
    before = world.targets(incident_id)
    answer = _run("plan", incident_id, execution=SECOND, verify_only=True)
    [target] = answer["targets"]
    assert (answer["decision"], target["verify_only"], target["attach"]) == ("act", True, "")
    assert world.targets(incident_id) == before
    assert world.meta(incident_id)["status"] == "CONTAINED"
    _run("contain", incident_id, target, execution=SECOND)
    assert _run("finish", incident_id, execution=SECOND, verify_only=True)["done"]
    assert [name for name, _ in fake.calls] == ["verify", "contain"]  # contain is told: verify_only
    assert _lease(world) == [SECOND]


@pytest.mark.parametrize("error", [RoleUnavailable("cannot assume arn:x"), NoTarget("no instance")])
def test_what_cannot_be_read_again_leaves_the_record_alone(
    world: World, fake: Fake, record: IncidentRepository, error: Exception
) -> None:
    incident_id = _contained(world, fake)
    emission(record, incident_id, SECOND)
    before, fake.error = world.meta(incident_id), error
    answer = _run("plan", incident_id, execution=SECOND, verify_only=True)
    assert world.meta(incident_id) == before
    call(
        "close",
        incident_id=incident_id,
        execution=SECOND,
        decision=answer["decision"],
        error=answer["error"],
    )
    assert world.meta(incident_id)["status"] == "CONTAINED"
    assert str(error) in world.messages("escalations")[0]["Message"]


def test_a_contained_resource_that_is_gone(
    world: World, fake: Fake, record: IncidentRepository
) -> None:
    incident_id = _contained(world, fake)
    emission(record, incident_id, SECOND)
    fake.error = TargetGone("i-1 is terminated")
    answer = _run("plan", incident_id, execution=SECOND, verify_only=True)
    call(
        "close",
        incident_id=incident_id,
        execution=SECOND,
        decision=answer["decision"],
        error=answer["error"],
    )
    assert world.meta(incident_id)["status"] == "GONE"
    assert [target["status"] for target in world.targets(incident_id)] == ["GONE"]
    assert told(world) == (["GONE"], [])


@pytest.mark.parametrize("changes", [{"paused": True}, {"remediations": {"*": "dry_run"}}])
def test_a_half_contained_resource_keeps_its_ledger_when_nothing_may_act_any_more(
    world: World, fake: Fake, record: IncidentRepository, changes: Any
) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    record.action(
        incident_id, "ec2_instance", "i-1", "quarantine_network", "DONE", "1 interface", "req-1"
    )
    fake.steps["verify"] = StepResult(status=Status.PARTIAL, detail="1 of 2")
    _run("verify", incident_id, target)
    call("verdict", incident_id=incident_id, target=target, error="")
    call("close", incident_id=incident_id, decision="act")
    configure(world, **changes)
    assert emission(record, incident_id, SECOND) == "start"
    decision = _run("plan", incident_id, execution=SECOND)["decision"]
    call("close", incident_id=incident_id, execution=SECOND, decision=decision)
    [stored] = world.targets(incident_id)
    assert (world.meta(incident_id)["status"], stored["status"], stored["verdict"]) == (
        "PARTIAL",
        "PARTIAL",
        "1 of 2",
    )
    assert stored["actions"]["quarantine_network"]["request_id"] == "req-1"


def test_after_a_restore_the_state_before_is_recorded_anew(
    world: World, fake: Fake, record: IncidentRepository
) -> None:
    incident_id = _contained(world, fake)
    record.before(incident_id, "ec2_instance", "i-1", "interfaces", {"eni-1": ["old"]})
    record.transition(incident_id, "restored")  # type: ignore[arg-type]
    assert emission(record, incident_id, SECOND) == "start"
    _run("plan", incident_id, execution=SECOND)
    assert world.targets(incident_id)[0]["before"] == {}


# -- two incidents, one resource -------------------------------------------------------------------


def test_the_loser_links_and_touches_nothing(world: World, fake: Fake) -> None:
    winner = world.start("winner")
    first = _open(winner)
    _run("plan", first, execution=winner)
    second = _open(detail={**load_finding()["detail"], "id": "another", "arn": ""})
    [target] = _run("plan", second)["targets"]
    assert target["attach"] == first
    assert world.meta(second)["status"] == "CONTAINING"
    assert world.targets(second)[0]["attach"] == first
    _run("contain", second, target)
    clients.POOL.submit(lambda: None).result()
    assert [name for name, _ in fake.calls] == ["contain"]  # contain is told: attach
    assert _lease(world) == [winner]
    fake.steps["verify"] = StepResult(status=Status.CONTAINED, detail="closed")
    _run("verify", second, target)
    call("verdict", incident_id=second, target=target, error="")
    assert _run("finish", second)["done"]
    assert "finish" not in [name for name, _ in fake.calls]


def test_a_dead_owner_is_taken_over(world: World, fake: Fake) -> None:
    dead = world.start("dead")
    _run("plan", _open(dead), execution=dead)
    world.kill(dead)
    second = _open(detail={**load_finding()["detail"], "id": "another", "arn": ""})
    [target] = _run("plan", second)["targets"]
    assert target["attach"] == ""
    assert _lease(world) == [EXECUTION]


def test_an_owner_of_whom_nothing_is_known_is_left_in_peace(world: World, fake: Fake) -> None:
    _run("plan", _open(f"{EXECUTIONS}incident:unknown"), execution=f"{EXECUTIONS}incident:unknown")
    second = _open(detail={**load_finding()["detail"], "id": "another", "arn": ""})
    assert _run("plan", second)["targets"][0]["attach"] != ""


# -- the other verbs -------------------------------------------------------------------------------


def test_verify_writes_what_was_seen(world: World, fake: Fake) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    fake.steps["verify"] = StepResult(status=Status.PARTIAL, detail="1 of 2 closed")
    answer = _run("verify", incident_id, target, attempt=2, error="Contain: timed out")
    assert (answer["done"], answer["status"]) == (True, "PARTIAL")
    [stored] = world.targets(incident_id)
    assert (stored["status"], stored["verified"]) == ("PARTIAL", EXECUTION)
    assert stored["verdict"] == "1 of 2 closed (containing failed: Contain: timed out)"
    assert stored["checks"] == [
        {"name": "eni-1", "ok": True, "detail": "closed", "fatal": False, "read": True}
    ]
    assert fake.seen[-1].attempt == 2


def test_verify_writes_nothing_before_it_is_done(world: World, fake: Fake) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    fake.steps["verify"] = StepResult(done=False, wait_seconds=3, again="contain")
    answer = _run("verify", incident_id, target)
    assert (answer["done"], answer["wait_seconds"], answer["again"]) == (False, 3, "contain")
    [stored] = world.targets(incident_id)
    assert stored["status"] == "OPEN"
    assert "verified" not in stored


def test_a_verdict_without_a_status_is_a_failure(world: World, fake: Fake) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    _run("verify", incident_id, target)
    assert world.targets(incident_id)[0]["status"] == "FAILED"


@pytest.mark.parametrize("verb", ["contain", "finish"])
def test_work_renews_its_lease(
    world: World, fake: Fake, record: IncidentRepository, verb: str
) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    record.leases.acquire(ARN, EXECUTION, incident_id, 1)
    _run(verb, incident_id, None if verb == "finish" else target)
    for _ in range(50):
        [lease] = world.items(f"RESOURCE#{ARN}")
        if lease["expires"] > 0 and int(lease["expires"]) - int(lease["expires_at"]) > 800 - 86400:
            break
        time.sleep(0.02)
    assert int(lease["expires"]) - int(lease["expires_at"]) == steps.LEASE_SECONDS - 86400


def test_the_finding_is_there_when_it_is_asked_for(world: World, fake: Fake) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    _run("contain", incident_id, target)
    context = fake.seen[-1]
    assert context.finding == finding.parse(load_finding())
    assert (context.options, context.incident_id, context.config) == (
        {"finish": "none"},
        incident_id,
        configuration.load(),
    )


def test_a_finding_that_cannot_be_fetched_stops_only_who_asks(world: World, fake: Fake) -> None:
    incident_id = _open()
    [target] = _run("plan", incident_id)["targets"]
    IncidentRepository("guardduty-response-incidents").note(
        incident_id, finding_key="incidents/inc-0/missing.json"
    )
    assert _run("contain", incident_id, target)["done"]
    with pytest.raises(ClientError, match="NoSuchKey"):
        _ = fake.seen[-1].finding
    with pytest.raises(ClientError, match="NoSuchKey"):
        _run("plan", incident_id)


def test_evidence_is_put_under_its_incident(world: World, fake: Fake) -> None:
    incident_id = _open()
    _run("contain", incident_id, *_run("plan", incident_id)["targets"])
    fake.seen[-1].put_evidence("describe.json", b"{}")
    assert world.evidence(incident_id)["describe.json"] == b"{}"


def test_unknown_names(world: World, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResponseError, match="has no step 'terminate'; its steps are plan, contain"):
        _run("terminate", "inc-1")
    incident_id = _open()
    monkeypatch.delitem(sys.modules, f"{fake.__name__}.playbook")
    with pytest.raises(ConfigError, match="holds no fake"):
        _run("plan", incident_id)
