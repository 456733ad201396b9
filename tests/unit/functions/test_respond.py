"""Tests the playbook function: what plan decides, and what each step writes."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment import gate
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import (
    ConfigError,
    NoTarget,
    ResponseError,
    RoleUnavailable,
    TargetGone,
    TransientError,
)
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import Table

from tests.support.patience import PATIENCE, until
from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call
from tests.unit.functions.respond_steps import lease_owners, open_incident, run_step

# -- plan: what is decided -------------------------------------------------------------------------


def test_to_act(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = open_incident()
    answer = run_step("plan", incident_id)
    [target] = answer["targets"]
    assert (answer["decision"], answer["error"]) == ("act", "")
    assert (target["id"], target["scope"], target["attach"]) == ("i-1", {"volumes": ["vol-1"]}, "")
    meta = deployment.meta(incident_id)
    assert (meta["status"], meta["decision"], [entry["arn"] for entry in meta["targets"]]) == (
        "CONTAINING",
        "act",
        [ARN],
    )
    assert [
        (entry["id"], entry["status"], entry["actions"])
        for entry in deployment.targets(incident_id)
    ] == [("i-1", "OPEN", {})]
    assert lease_owners(deployment) == [EXECUTION]


@pytest.mark.parametrize(
    ("mode", "decision", "status"), [("approve", "approve", "OPEN"), ("dry_run", "dry_run", "OPEN")]
)
def test_to_ask_or_to_rehearse(
    deployment: Deployment, fake: FakePlaybook, mode: str, decision: str, status: str
) -> None:
    configure(deployment, remediations={"*": mode})
    incident_id = open_incident()
    answer = run_step("plan", incident_id)
    assert answer["decision"] == decision
    assert answer.get("approval_timeout_seconds") == (3600 if mode == "approve" else None)
    assert len(answer["targets"]) == (1 if mode == "approve" else 0)
    assert deployment.meta(incident_id)["status"] == status
    [stored] = deployment.targets(incident_id)
    action = stored["actions"]["quarantine_network"]
    assert (action["status"], action["detail"]) == ("PLANNED", "2 interfaces")
    assert lease_owners(deployment) == []


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
def test_nothing_may_act(
    deployment: Deployment, fake: FakePlaybook, changes: Any, said: str
) -> None:
    """Also when the policy changed after the incident was opened: the machine asks it again."""
    incident_id = open_incident()
    configure(deployment, **changes)
    fake.principals = ["role/admin"]
    assert run_step("plan", incident_id) == {
        "decision": "skip",
        "error": "",
        "targets": [],
        "collect_first_seconds": 0,
        "hand_over": [],
    }
    meta = deployment.meta(incident_id)
    assert meta["decision"] == "skip"
    assert said in meta["reasons"][-1]
    assert lease_owners(deployment) == []
    call("close", incident_id=incident_id, decision="skip")
    assert said in deployment.messages()[0]["Message"]


@pytest.mark.parametrize(("mode", "decision"), [("auto", "approve"), ("dry_run", "dry_run")])
def test_a_tag_can_only_ask(
    deployment: Deployment, fake: FakePlaybook, mode: str, decision: str
) -> None:
    configure(deployment, remediations={"*": mode})
    fake.tags = {"guardduty-response": "ask"}
    incident_id = open_incident()
    assert run_step("plan", incident_id)["decision"] == decision
    assert ("carries the tag" in " ".join(deployment.meta(incident_id)["reasons"])) == (
        mode == "auto"
    )


@pytest.mark.parametrize("mode", ["auto", "approve", "dry_run"])
def test_a_sample_is_only_rehearsed(deployment: Deployment, fake: FakePlaybook, mode: str) -> None:
    configure(deployment, remediations={"*": mode})
    incident_id = open_incident(**load_finding("sample_cryptocurrency_ec2_bitcointool_b_dns"))
    assert run_step("plan", incident_id)["decision"] == "dry_run"
    assert "a sample finding is only rehearsed" in deployment.meta(incident_id)["reasons"]


@pytest.mark.parametrize(
    "error",
    [
        RoleUnavailable("cannot assume arn:x. Deploy modules/responder-role there"),
        NoTarget("the finding names no instance"),
        TargetGone("i-99999999 is unknown there"),
    ],
)
def test_a_sample_that_cannot_be_rehearsed_is_skipped_and_says_why(
    deployment: Deployment, fake: FakePlaybook, error: Exception
) -> None:
    """GuardDuty makes samples in accounts, too, that this module has no role in."""
    incident_id = open_incident(**load_finding("sample_cryptocurrency_ec2_bitcointool_b_dns"))
    fake.error = error
    answer = run_step("plan", incident_id)
    assert (answer["decision"], answer["error"]) == ("skip", "")
    call(
        "close",
        incident_id=incident_id,
        execution=EXECUTION,
        decision="skip",
        targets=[],
    )
    meta = deployment.meta(incident_id)
    assert meta["status"] == "SKIPPED"
    assert meta["reasons"] == [f"a sample finding cannot be rehearsed here: {error}"]
    [message] = deployment.messages()
    assert message["Subject"].startswith("[SAMPLE SKIPPED]")
    assert str(error) in message["Message"]
    assert deployment.messages("escalations") == []


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (TargetGone("i-1 is terminated"), "gone"),
        (NoTarget("the finding names no instance"), "failed"),
        (RoleUnavailable("cannot assume arn:x"), "failed"),
    ],
)
def test_nothing_to_act_on(
    deployment: Deployment, fake: FakePlaybook, error: Exception, decision: str
) -> None:
    incident_id, fake.error = open_incident(), error
    assert run_step("plan", incident_id) == {
        "decision": decision,
        "error": str(error),
        "targets": [],
        "collect_first_seconds": 0,
        "hand_over": [],
    }
    assert deployment.meta(incident_id)["reasons"] == [str(error)]


def test_an_empty_plan_is_a_failure(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id, fake.ids = open_incident(), []
    answer = run_step("plan", incident_id)
    assert (answer["decision"], "found no resource" in answer["error"]) == ("failed", True)


def test_throttling_is_for_the_machine_to_repeat(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = open_incident()
    fake.error = ClientError(
        {"Error": {"Code": "RequestLimitExceeded", "Message": "slow"}}, "DescribeInstances"
    )
    with pytest.raises(TransientError):
        run_step("plan", incident_id)
    assert deployment.meta(incident_id)["status"] == "OPEN"


def test_planning_twice_changes_nothing(deployment: Deployment, fake: FakePlaybook) -> None:
    """Its answer was lost and the machine asks again: one count of the breaker, the same lease,
    the same ledger.
    """
    configure(deployment, **{"guardrails.circuit_breaker": {"targets": 1, "minutes": 60}})
    incident_id = open_incident()
    first = run_step("plan", incident_id)
    IncidentRepository("guardduty-response-incidents").before(
        incident_id, "ec2_instance", "i-1", "interfaces", {"eni-1": ["sg-web"]}
    )
    assert run_step("plan", incident_id) == first
    assert deployment.targets(incident_id)[0]["before"] == {"interfaces": {"eni-1": ["sg-web"]}}
    assert lease_owners(deployment) == [EXECUTION]


# -- the other verbs -------------------------------------------------------------------------------


def test_verify_writes_what_was_seen(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    fake.steps["verify"] = StepResult(status=Status.PARTIAL, detail="1 of 2 closed")
    answer = run_step(
        "verify",
        incident_id,
        target,
        attempt=2,
        error="Contain: timed out",
    )
    assert (answer["done"], answer["status"]) == (True, "PARTIAL")
    [stored] = deployment.targets(incident_id)
    assert (stored["status"], stored["verified"]) == ("PARTIAL", EXECUTION)
    assert stored["verdict"] == "1 of 2 closed (Contain: timed out)"
    assert stored["checks"] == [
        {
            "name": "eni-1",
            "ok": True,
            "detail": "closed",
            "fatal": False,
            "read": True,
        }
    ]
    assert fake.seen[-1].attempt == 2


def test_verify_writes_nothing_before_it_is_done(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    fake.steps["verify"] = StepResult(
        done=False,
        wait_seconds=3,
        again="contain",
    )
    answer = run_step("verify", incident_id, target)
    assert (answer["done"], answer["wait_seconds"], answer["again"]) == (False, 3, "contain")
    [stored] = deployment.targets(incident_id)
    assert stored["status"] == "OPEN"
    assert "verified" not in stored


def test_a_verdict_without_a_status_is_a_failure(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    run_step("verify", incident_id, target)
    assert deployment.targets(incident_id)[0]["status"] == "FAILED"


@pytest.mark.parametrize("step_name", ["contain", "finish"])
def test_work_renews_its_lease(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, step_name: str
) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    record.leases.acquire(ARN, EXECUTION, incident_id, 1)
    run_step(step_name, incident_id, None if step_name == "finish" else target)

    def renewed() -> bool:
        [lease] = deployment.items(f"RESOURCE#{ARN}")
        return int(lease["expires"]) - int(lease["expires_at"]) == LEASE_SECONDS - 86400

    until(renewed, "the lease is renewed")


def test_a_state_before_known_from_planning_goes_with_the_permission(
    deployment: Deployment,
    fake: FakePlaybook,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a transaction of its own it would take a round trip more."""
    permissions, transact = list[str](), Table.transact

    def noted(table: Table, writes: Any) -> Any:
        if f"RESOURCE#{ARN}" in str(writes[0]):  # the lease comes first
            permissions.append(str(writes))
        return transact(table, writes)

    def contain(context: Context, target: Target) -> StepResult:
        assert context.gate
        time.sleep(0.2)  # long after the gate was opened
        context.gate.write_before("network", {"eni-1": ["sg-web"]})
        return StepResult()

    monkeypatch.setattr(gate, "FIRST_WRITE_SECONDS", PATIENCE)
    monkeypatch.setattr(fake, "KNOWS_STATE_BEFORE", True, raising=False)
    monkeypatch.setattr(fake, "contain", contain)
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    monkeypatch.setattr(Table, "transact", noted)
    run_step("contain", incident_id, target)
    [permission] = permissions
    assert "sg-web" in permission
    contained = record.containments.read(ARN, target["generation"])
    assert contained.before == {"network": {"eni-1": ["sg-web"]}}


def test_the_finding_is_there_when_it_is_asked_for(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    run_step("contain", incident_id, target)
    context = fake.seen[-1]
    assert context.finding == finding.parse(load_finding())
    assert (context.options, context.incident_id, context.config) == (
        {"finish": "none"},
        incident_id,
        configuration.load(),
    )


def test_a_finding_that_cannot_be_fetched_stops_only_who_asks(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    missing = "incidents/inc-0/missing.json"
    IncidentRepository("guardduty-response-incidents").note(incident_id, finding_key=missing)
    assert run_step("contain", incident_id, {**target, "finding_key": missing})["done"]
    with pytest.raises(ClientError, match="NoSuchKey"):
        _ = fake.seen[-1].finding
    with pytest.raises(ClientError, match="NoSuchKey"):
        run_step("plan", incident_id)


def test_evidence_is_put_under_its_incident(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = open_incident()
    run_step(
        "contain",
        incident_id,
        *run_step("plan", incident_id)["targets"],
    )
    fake.seen[-1].put_evidence("describe.json", b"{}")
    assert deployment.evidence(incident_id)["describe.json"] == b"{}"


def test_unknown_names(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ResponseError, match="its steps are warm, plan, contain"):
        run_step("terminate", "inc-1")
    incident_id = open_incident()
    monkeypatch.delitem(sys.modules, f"{fake.__name__}.playbook")
    with pytest.raises(ConfigError, match="holds no fake"):
        run_step("plan", incident_id)
