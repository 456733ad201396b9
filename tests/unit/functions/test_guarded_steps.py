"""Every step of every function: it changes nothing in an account without the gate's permission."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guardduty_response import functions
from guardduty_response.aws import clients
from guardduty_response.aws.clients import Session
from guardduty_response.containment.contract import (
    Check,
    Context,
    Planned,
    RestoreResult,
    StepResult,
    Target,
)
from guardduty_response.errors import ResponseError
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import MEMBER, TABLE, Deployment, onlooker
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import EXECUTION, target

Json = dict[str, Any]
# Functions that assume no role of a member account.
WITHOUT_MEMBER_ROLE = {"incident", "reconcile"}
# Steps that call nothing in an account; and expire, which needs no playbook: that it asks its gate
# is tested in monitoring/test_expired_denials.py.
WITHOUT_CALLS = {("respond", "warm"), ("respond", "expire")}
READING = {"plan", "verify"}  # what a playbook does with sessions that only read
CREATE: Json = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "ec2:CreateSecurityGroup",
            "Resource": "*",
        }
    ],
}


def _functions() -> dict[str, Any]:
    """Returns the modules with a handler, by name."""
    [folder] = functions.__path__
    names = [
        path.stem
        for path in sorted(Path(folder).glob("*.py"))
        if re.search(
            r"^handler = ",
            path.read_text(),
            re.MULTILINE,
        )
    ]
    return {name: importlib.import_module(f"guardduty_response.functions.{name}") for name in names}


def _steps() -> list[tuple[str, str]]:
    """Returns every function and step that may act in a member account, as the handlers say."""
    found = []
    for name, module in _functions().items():
        if name in WITHOUT_MEMBER_ROLE:
            continue
        try:
            module.handler({"verb": "?"}, None)
        except ResponseError as error:
            said = str(error)
        steps = said.split("its steps are ")[1].split(", ") if "its steps are" in said else [""]
        found += [(name, step) for step in steps if (name, step) not in WITHOUT_CALLS]
    return found


class Changing(FakePlaybook):
    """A playbook that tries to change something in every step, whether it may or not."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[str] = []

    def _try(self, name: str, context: Context) -> None:
        self.tried.append(name)
        role = "GDR_RESPONDER_ROLE"
        session = context.assume(
            MEMBER,
            "us-east-1",
            CREATE,
            role=role,
        )
        session.client("ec2").create_security_group(GroupName=f"made-by-{name}", Description="x")

    def plan(self, context: Context) -> list[Planned]:
        self._try("plan", context)
        return super().plan(context)

    def _step(self, name: str, context: Context, target: Target) -> StepResult:
        self._try(name, context)
        return StepResult(status=Status.CONTAINED)

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        # What verify finds is the verdict; that it tries to change something is stored nowhere.
        self._try("verify", context)
        return StepResult(status=Status.CONTAINED), [Check("network", True, "closed")]

    def eradicate(self, context: Context, target: Target) -> StepResult:
        return self._step("remediate", context, target)

    def restore(self, context: Context, target: Target) -> RestoreResult:
        self._try("restore", context)
        return RestoreResult(
            Status.RESTORED,
            [],
            [],
            [],
            [],
            [],
        )


class Sessions:
    """Records the sessions that were opened: the policy, and whether a gate has to permit."""

    def __init__(self) -> None:
        self.opened: list[tuple[Json, bool]] = []

    def open(self, arn: str, name: str, region: str, policy: Json, permit: Any = None) -> Session:
        self.opened.append((policy, permit is not None))
        return Session(arn, name, region, policy, permit)


@pytest.fixture
def playbook(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Changing]:
    module = Changing()
    for name in ("", ".playbook", ".evidence", ".terminate", ".eradicate", ".restore"):
        monkeypatch.setitem(
            sys.modules,
            module.__name__ + name,
            module,
        )
    yield module
    clients.POOL.submit(lambda: None).result()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    recorded = Sessions()
    monkeypatch.setattr(clients, "Session", recorded.open)
    return recorded


@pytest.fixture
def run(
    playbook: Changing, incident: Callable[..., str], record: IncidentRepository
) -> Callable[[str, str], str]:
    """Runs a step of a function on an incident that has come as far as the step needs."""

    def run_step(function: str, step: str) -> str:
        status = "OPEN" if step == "plan" else "CONTAINED"
        incident_id = incident(
            status=status,
            playbook="fake",
            plan_digest="plan-1",
        )
        event: Json = {"incident_id": incident_id}
        if step:
            event |= {
                "verb": step,
                "execution": EXECUTION,
                "seconds_left": 9,
            }
        if status == "CONTAINED":
            record.set_target(
                incident_id,
                "ec2_instance",
                "i-1",
                status=Status.CONTAINED,
            )
            if step:
                record.leases.acquire(
                    target()["arn"],
                    EXECUTION,
                    incident_id,
                    900,
                )
                event["targets"] = [target(generation=1)]
        # Whatever a refused step raises, nothing may have changed.
        with contextlib.suppress(Exception):
            _functions()[function].handler(event, None)
        return incident_id

    return run_step


def _made() -> list[str]:
    """Returns what the steps have made in the member account."""
    described = onlooker("ec2", "us-east-1").describe_security_groups()["SecurityGroups"]
    return [found["GroupName"] for found in described if found["GroupName"].startswith("made-by")]


def _pause() -> None:
    item = {
        "pk": "CONTROL",
        "sk": "OPERATOR",
        "paused": True,
    }
    IncidentRepository(TABLE).table.put(item)


def test_every_function_is_known() -> None:
    assert set(_functions()) == WITHOUT_MEMBER_ROLE | {name for name, _ in _steps()}
    assert _steps() == [
        ("collect", "first"),
        ("collect", "evidence"),
        ("collect", "collect"),
        ("eradicate", "remediate"),
        ("respond", "plan"),
        ("respond", "contain"),
        ("respond", "verify"),
        ("respond", "finish"),
        ("restore", ""),
        ("terminate", "terminate"),
    ]


@pytest.mark.parametrize(("function", "step"), _steps())
def test_a_session_that_can_change_something_has_a_gate(
    deployment: Deployment,
    playbook: Changing,
    sessions: Sessions,
    run: Callable[[str, str], str],
    function: str,
    step: str,
) -> None:
    run(function, step)
    assert playbook.tried
    for name, (policy, guarded) in zip(
        playbook.tried,
        sessions.opened,
        strict=True,
    ):
        assert guarded is (name not in READING), name
        assert guarded or policy["Statement"] == [], f"{name} may change something unasked"


@pytest.mark.parametrize(("function", "step"), _steps())
def test_paused_a_step_changes_nothing(
    deployment: Deployment,
    playbook: Changing,
    sessions: Sessions,
    run: Callable[[str, str], str],
    function: str,
    step: str,
) -> None:
    """Restoring is the exception. (moto enforces no session policy: what may only read is left to
    the test before this.)
    """
    _pause()
    run(function, step)
    changed = {name.removeprefix("made-by-") for name in _made()} - READING
    assert changed == ({"restore"} if function == "restore" else set())


@pytest.mark.parametrize("step", ["finish", "terminate", "remediate"])
def test_paused_after_the_verdict_the_late_steps_do_not_even_begin(
    deployment: Deployment, playbook: Changing, run: Callable[[str, str], str], step: str
) -> None:
    function = {
        "finish": "respond",
        "terminate": "terminate",
        "remediate": "eradicate",
    }[step]
    _pause()
    incident_id = run(function, step)
    assert (playbook.tried, _made()) == ([], [])
    [stored] = deployment.targets(incident_id)
    logged = stored["actions"][step]
    assert logged["status"] == "FAILED"
    assert f"{step} of i-1 was not done: nothing is changed any more" in logged["detail"]
    assert f"{step} failed" in deployment.timeline(incident_id)
