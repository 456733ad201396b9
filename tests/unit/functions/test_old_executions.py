"""Executions that release 0.1.0 began, with its definition and its records, meet these functions.

They contain behind the gate, or people are told why not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.functions import collect, incident, respond
from guardduty_response.incident.model import TargetReference
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.asl_walker import FUNCTION, PHASES, Walk
from tests.support.repository import ROOT, load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import call, notified
from tests.unit.old_records import load_old_records

Json = dict[str, Any]
MACHINES = ROOT / "tests" / "fixtures" / "machines"
HANDLERS = {"incident": incident, "playbook": respond, "collector": collect}
BEFORE = {
    "network": {"interfaces": {"eni-1": ["sg-web"], "eni-2": ["sg-web"]}},
    "profile": {"name": "app"},
}


def approved() -> Json:
    """Returns what people send back with the task token."""
    return {"approved": True}


class OldExecution:
    """Goes on with an execution of release 0.1.0's machine, from any of its states."""

    def __init__(self, deployment: Deployment, fake: FakePlaybook) -> None:
        self.deployment, self.fake = deployment, fake
        self.record = IncidentRepository("guardduty-response-incidents")
        self.old = load_old_records(deployment)
        self.contained: list[Target] = []
        self.verified: list[Target] = []
        self.verdict = Status.CONTAINED
        self.steps: list[str] = []
        self.at: dict[str, Callable[[], None]] = {}  # what happens when a step begins
        fake.contain = self._contain  # type: ignore[method-assign]
        fake.verify = self._verify  # type: ignore[method-assign]

    def _contain(self, context: Context, target: Target) -> StepResult:
        assert context.gate, "containing has a gate"
        context.gate.permit()
        context.gate.write_before("network", {"interfaces": {"eni-1": ["sg-quarantine"]}})
        self.contained.append(target)
        return StepResult(detail="closed")

    def _verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        self.verified.append(target)
        status = self.verdict if self.contained else Status.FAILED
        ok = status is Status.CONTAINED
        detail = "closed" if ok else "NOT contained: eni-1 is open"
        return StepResult(status=status, detail=detail), [Check("eni-1", ok, detail)]

    def _invoke(self, function: str, payload: Json) -> Any:
        self.steps.append(payload["verb"])
        self.at.get(payload["verb"], lambda: None)()
        return HANDLERS[function].handler(payload, None)

    def walk(
        self,
        begin: str,
        value: Any,
        incident_id: str,
        answer: Callable[[], Any] = dict,
        verify_only: bool = False,
    ) -> Walk:
        """Goes from the state ``begin`` to the end; ``answer()`` is an approval's."""
        execution = "recheck" if verify_only else self.record.meta(incident_id)["execution"]
        walk = Walk(
            "0.1.0-incident",
            self._invoke,
            execution,
            answer,
            MACHINES,
        )
        walk.machine["StartAt"] = begin
        walk.variables = {
            "incident_id": incident_id,
            "playbook": "fake",
            "verify_only": verify_only,
            "functions": {"fake": {phase: f"{FUNCTION}{name}" for phase, name in PHASES.items()}},
        }
        walk.run(value)
        return walk

    def open(self) -> str:
        """Opens an incident by the present functions, for the old definition."""
        self.fake.ids = ["i-5"]
        incident_id = str(call("open", event=load_finding())["incident_id"])
        self.record.note(incident_id, playbook="fake")
        return incident_id

    def planned(self, name: str, decision: str) -> Json:
        """Returns what release 0.1.0's triage answered about an old incident's instance."""
        [stored] = self.record.read(self.old[name])[1]
        self.fake.ids = [stored["id"]]
        names: Any = ("kind", "id", "arn", "account_id", "region")
        target = {key: stored[key] for key in names}  # type: ignore[literal-required]
        target |= {"scope": {"volumes": ["vol-1"]}, "attach": "", "verify_only": False}
        return {
            "decision": decision,
            "error": "",
            "targets": [target],
            "collect_first_seconds": 0,
            "hand_over": [],
            "approval_timeout_seconds": 60,
        }

    def answered(self, answer: Callable[[], Any]) -> Json:
        """Answers the approval that waited during the upgrade; returns the incident's META."""
        incident_id = self.old["awaiting"]
        self.walk(
            "Approve",
            self.planned("awaiting", "approve"),
            incident_id,
            answer,
        )
        return self.deployment.meta(incident_id)

    def went_on(self) -> Json:
        """Goes on with what had been decided before the upgrade; returns the incident's META."""
        incident_id = self.old["containing"]
        self.walk("Targets", self.planned("containing", "act"), incident_id)
        return self.deployment.meta(incident_id)

    def target(self, name: str) -> Json:
        [target] = self.deployment.targets(self.old[name])
        return target


@pytest.fixture
def old(deployment: Deployment, fake: FakePlaybook) -> OldExecution:
    configure(deployment, remediations={"*": "approve"})
    return OldExecution(deployment, fake)


@pytest.fixture
def auto(deployment: Deployment, fake: FakePlaybook) -> OldExecution:
    configure(deployment, remediations={"*": "auto"})
    return OldExecution(deployment, fake)


# -- an approval that waited -----------------------------------------------------------------------


def test_an_approval_that_waited_contains(deployment: Deployment, old: OldExecution) -> None:
    meta = old.answered(approved)
    assert (meta["status"], meta["decision"]) == ("CONTAINED", "act")
    [contained] = old.contained
    assert (contained.place, contained.plan_digest) == ((contained.arn, 1), meta["plan_digest"])
    assert meta["approved_digest"] == meta["plan_digest"]
    target = old.target("awaiting")
    assert (target["generation"], target["status"]) == (1, "CONTAINED")
    assert target["before"] == {"network": {"interfaces": {"eni-1": ["sg-quarantine"]}}}
    assert "answer: approved" in deployment.timeline(old.old["awaiting"])
    assert deployment.items(f"RESOURCE#{contained.arn}") == [], "the lease is given back"
    assert "CONTAINED" in notified(deployment)[0]


@pytest.mark.parametrize("answer", [{"approved": False}, {}, {"by": "ada"}])
def test_an_approval_that_is_not_given_changes_nothing(old: OldExecution, answer: Json) -> None:
    assert old.answered(lambda: answer)["status"] == "REJECTED"
    assert old.contained == []


def _pause(old: OldExecution) -> None:
    item = {
        "pk": "CONTROL",
        "sk": "OPERATOR",
        "paused": True,
        "by": "ada",
        "reason": "drill",
    }
    old.record.table.put(item)


def _switch_off(old: OldExecution) -> None:
    configure(old.deployment, remediations={"*": "notify"})


def _exempt(old: OldExecution) -> None:
    changes = {"guardrails.exempt_principals": ["arn:aws:iam::222222222222:role/break-glass"]}
    configure(old.deployment, remediations={"*": "approve"}, **changes)
    old.fake.principals = ["arn:aws:iam::222222222222:role/break-glass"]


REFUSALS = [(_pause, "paused by ada"), (_switch_off, "notify"), (_exempt, "break-glass")]


@pytest.mark.parametrize(("change", "why"), REFUSALS)
def test_what_forbids_it_now_forbids_it_after_an_old_approval(
    deployment: Deployment, old: OldExecution, change: Callable[[OldExecution], None], why: str
) -> None:
    change(old)
    meta = old.answered(approved)
    assert (meta["status"], old.contained) == ("FAILED", [])
    assert why in old.target("awaiting")["verdict"], "people read why"
    messages = deployment.messages("escalations")
    assert any(why in message["Message"] for message in messages)


def test_evidence_from_before_the_approval_stays(old: OldExecution) -> None:
    """Forensics come first, where switched on."""
    kept = {"outcome": "COMPLETE", "detail": "memory", "objects": []}
    names = ("ec2_instance", "i-21", "forensics")
    old.record.evidence(old.old["awaiting"], *names, kept)
    assert old.answered(approved)["status"] == "CONTAINED"
    assert old.target("awaiting")["evidence"]["forensics"] == kept


def test_several_targets_are_linked_each_to_its_own_containment(old: OldExecution) -> None:
    planned = old.planned("awaiting", "approve")
    [first] = planned["targets"]
    second = {**first, "id": "i-99", "arn": first["arn"].replace("i-21", "i-99")}
    incident_id = old.old["awaiting"]
    stored = old.record.link(incident_id, "ec2_instance", "i-21")
    old.record.table.put(
        {**stored, "sk": "TARGET#ec2_instance#i-99", "id": "i-99", "arn": second["arn"]}
    )
    old.fake.ids = ["i-21", "i-99"]
    old.walk(
        "Approve",
        {**planned, "targets": [first, second]},
        incident_id,
        approved,
    )
    assert old.deployment.meta(incident_id)["status"] == "CONTAINED"
    assert {target.place for target in old.contained} == {(first["arn"], 1), (second["arn"], 1)}


def test_another_incident_at_work_is_left_alone(old: OldExecution) -> None:
    planned = old.planned("awaiting", "approve")
    arn, other = planned["targets"][0]["arn"], old.old["contained"]
    assert old.record.leases.acquire(arn, "somebody", other, 900) is None
    old.at["verdict"] = lambda: old.record.leases.release(arn, "somebody")
    old.walk("Approve", planned, old.old["awaiting"], approved)
    assert (old.contained, old.target("awaiting")["attach"]) == ([], other)
    assert {target.attach for target in old.verified} == {other}, "so verify waits for it"
    assert old.deployment.meta(old.old["awaiting"])["status"] == "FAILED"


def test_an_approval_of_what_was_planned_during_the_apply_contains(old: OldExecution) -> None:
    """The functions are updated before the definition: these planned for the old one."""
    incident_id = old.open()
    old.walk("Begin", {"next": "triage"}, incident_id, approved)
    assert old.deployment.meta(incident_id)["status"] == "CONTAINED"
    assert [target.generation for target in old.contained] == [1]


def test_what_changed_since_it_was_planned_during_the_apply_is_not_done(old: OldExecution) -> None:
    incident_id = old.open()

    def changed() -> Json:
        old.fake.consequences = "its data is lost"
        return approved()

    old.walk("Begin", {"next": "triage"}, incident_id, changed)
    assert (old.deployment.meta(incident_id)["status"], old.contained) == ("FAILED", [])
    [target] = old.deployment.targets(incident_id)
    assert "asked again" in target["verdict"]


# -- what was decided before the upgrade -----------------------------------------------------------


def test_what_was_decided_before_is_contained_behind_the_gate(auto: OldExecution) -> None:
    assert auto.went_on()["status"] == "CONTAINED"
    [contained] = auto.contained
    target = auto.target("containing")
    assert contained.place == (target["arn"], 1)
    assert target["before"] == BEFORE, "what release 0.1.0 recorded stands"
    assert auto.deployment.meta(auto.old["containing"])["targets"][0]["generation"] == 1


def test_evidence_of_release_0_1_0_is_not_collected_twice(auto: OldExecution) -> None:
    auto.went_on()
    assert auto.target("containing")["evidence"]["snapshots"]["state"] == {"snapshots": ["snap-1"]}
    assert [name for name, _ in auto.fake.calls if name == "evidence"] == []
    assert "collect" in auto.steps, "the phase collects what is left"


@pytest.mark.parametrize(("change", "why"), REFUSALS)
def test_what_forbids_it_now_stops_what_was_decided_before(
    deployment: Deployment, auto: OldExecution, change: Callable[[OldExecution], None], why: str
) -> None:
    change(auto)
    meta = auto.went_on()
    assert (meta["status"], auto.contained) == ("FAILED", [])
    assert why in auto.target("containing")["verdict"]
    assert any(why in message["Message"] for message in deployment.messages("escalations"))


def test_auto_that_became_approve_is_not_taken_for_approved(old: OldExecution) -> None:
    """Release 0.1.0 kept no digests, and asked nobody about this one."""
    assert (old.went_on()["status"], old.contained) == ("FAILED", [])
    assert "a person has to approve it" in old.target("containing")["verdict"]


def test_a_resource_that_the_finding_no_longer_names_is_left_alone(auto: OldExecution) -> None:
    planned = auto.planned("containing", "act")
    auto.fake.ids = ["i-other"]
    auto.walk("Targets", planned, auto.old["containing"])
    assert auto.contained == []
    assert "is not what the finding is about" in auto.target("containing")["verdict"]


def test_a_containment_of_another_incident_keeps_its_state(auto: OldExecution) -> None:
    """The old execution joins it, and has come to nothing yet that could replace it."""
    planned = auto.planned("containing", "act")
    reference: TargetReference = planned["targets"][0].copy()
    joined = auto.record.containments.join(reference, "inc-0000000000000001", "fake")
    place = (reference["arn"], joined.generation)
    auto.record.containments.set(*place, status=Status.CONTAINED, verdict="all closed")
    auto.record.take_over_old(auto.old["containing"], in_progress=True)
    state = auto.record.containments.state(*place)
    assert state and (state["status"], state["verdict"]) == ("CONTAINED", "all closed")


# -- the other states ------------------------------------------------------------------------------


def test_every_state_of_the_old_definition_goes_to_its_end(auto: OldExecution) -> None:
    """An execution that began in the seconds between the functions' update and its own."""
    incident_id = auto.open()
    walk = auto.walk("Begin", {"next": "triage"}, incident_id)
    assert walk.entered[-1] == "Close"
    assert auto.deployment.meta(incident_id)["status"] == "CONTAINED"
    assert [target.generation for target in auto.contained] == [1]
    assert "evidence" in [name for name, _ in auto.fake.calls], "it was linked already"


@pytest.mark.parametrize("phase", ["collect", "finish"])
def test_a_phase_after_the_verdict_goes_on(auto: OldExecution, phase: str) -> None:
    incident_id = auto.old["contained"]
    value = {"decision": "act", "error": "", "attempt": 3, "phase": phase}
    walk = auto.walk("Finish", value, incident_id)
    assert walk.entered[-1] == "Close"
    assert phase in auto.steps
    assert auto.deployment.meta(incident_id)["status"] == "CONTAINED"


def test_a_recheck_that_the_old_machine_began_only_reads(auto: OldExecution) -> None:
    incident_id = auto.old["contained"]
    auto.contained.append(Target("ec2_instance", "i-1", "arn", "a", "r"))  # so it reads closed
    opened = call("open", event={"watch": {"incident_id": incident_id, "why": "schedule"}})
    assert opened["verify_only"]
    walk = auto.walk(
        "Begin",
        {"next": "triage"},
        incident_id,
        verify_only=True,
    )
    assert walk.entered[-1] == "Close"
    assert len(auto.contained) == 1
    meta = auto.deployment.meta(incident_id)
    assert (meta["status"], meta.get("unverified")) == ("CONTAINED", None)


def test_a_loss_that_the_old_machine_finds_is_contained_again(auto: OldExecution) -> None:
    incident_id = auto.old["contained"]
    auto.fake.ids = ["i-1"]
    call("open", event={"watch": {"incident_id": incident_id, "why": "schedule"}})
    walk = auto.walk(
        "Begin",
        {"next": "triage"},
        incident_id,
        verify_only=True,
    )
    assert walk.entered.count("Begin") == 2
    assert [target.generation for target in auto.contained] == [1]
    [target] = auto.deployment.targets(incident_id)
    assert (target["status"], target["before"]) == ("CONTAINED", BEFORE)
