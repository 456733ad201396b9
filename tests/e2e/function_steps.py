"""Steps of the deployed functions, run in this process: with a function's environment and the
credentials of its role, so that IAM refuses what the function may not do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

import pytest
import yaml
from guardduty_response.aws import clients
from guardduty_response.containment.contract import load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.decision import configuration
from guardduty_response.errors import ResponseError
from guardduty_response.functions import collect, eradicate, respond, steps, terminate
from guardduty_response.incident.repository import IncidentRepository

from sandbox.findings import Sent
from sandbox.seed import Victim
from sandbox.seed_iam import User
from tests.e2e.credential_world import People
from tests.e2e.e2e_world import HOME, PREFIX, SECURITY, Json, World
from tests.e2e.function_credentials import FunctionCredentials
from tests.support.repository import ROOT

# A job of the manifests -> the module of its function
FUNCTIONS: dict[str, ModuleType] = {
    "playbook": respond,
    "collect": collect,
    "remediate": eradicate,
    "terminate": terminate,
}
# Their functions have no steps: people start the one, and a schedule the other.
WITHOUT_STEPS = {"restore", "monitor"}


class Step(NamedTuple):
    """A step of a playbook's function."""

    playbook: str
    job: str
    name: str

    def __str__(self) -> str:
        return f"{self.playbook}-{self.name}"

    @property
    def role(self) -> str:
        """The name of the function, which is that of its role, too."""
        return f"{PREFIX}-{self.job}-{self.playbook.replace('_', '-')}"


def steps_of_functions() -> list[Step]:
    """Returns every step of every function that the manifests name, as the handlers say."""
    return [
        Step(manifest.parent.name, job, name)
        for manifest in sorted((ROOT / "playbooks").glob("*/playbook.yaml"))
        for job in yaml.safe_load(manifest.read_text())["jobs"]
        if job not in WITHOUT_STEPS
        for name in _steps_of(FUNCTIONS[job])
    ]


def _steps_of(function: ModuleType) -> list[str]:
    with pytest.raises(ResponseError) as caught:
        function.handler({"verb": "?"}, None)
    return str(caught.value).split("its steps are ")[1].split(", ")


class Contained(NamedTuple):
    """A contained resource. ``target``: as the incident's META names it."""

    incident_id: str
    execution: str
    target: Json

    @property
    def arn(self) -> str:
        return str(self.target["arn"])


def _contained(world: World, sent: Sent) -> Contained:
    """Returns what the incident of a sent finding contained, once it has ended."""
    incident = world.settled(sent)
    assert incident["status"] == "CONTAINED", incident
    record = IncidentRepository(world.outputs["table_name"], world.client("dynamodb", SECURITY))
    [target] = record.meta(incident["incident_id"])["targets"]
    return Contained(incident["incident_id"], incident["execution"], {**target})


class OneOfEach(NamedTuple):
    """A contained instance and a contained user. ``incidents``: by playbook. ``open_groups``: the
    groups of each interface of the instance before it was contained.
    """

    victim: Victim
    open_groups: dict[str, list[str]]
    user: User
    incidents: dict[str, Contained]


def contain_one_of_each(world: World) -> OneOfEach:
    """Contains an instance and a user."""
    people, victim = People(world), world.plain()
    user, groups = people.user(), world.look(victim).interfaces
    sent = {
        "ec2_instance": world.send(world.finding(victim)),
        "iam_principal": world.send(people.about(user)),
    }
    incidents = {playbook: _contained(world, found) for playbook, found in sent.items()}
    return OneOfEach(victim, groups, user, incidents)


def forget() -> None:
    """Forgets what a function keeps from one call to the next: clients and the configuration."""
    for cache in (clients.client, clients._own, configuration.load):
        cache.cache_clear()


class FunctionSteps:
    """Runs steps in this process, each as the function that has it."""

    def __init__(self, world: World, credentials: FunctionCredentials) -> None:
        self._world, self._credentials = world, credentials
        self._environments: dict[str, dict[str, str]] = {}
        self._warm = ""  # the role whose clients are there

    @contextmanager
    def as_function_of(self, step: Step) -> Iterator[None]:
        """The process has the environment and the credentials of the step's function meanwhile."""
        keys = self._credentials(step.role)
        if step.role != self._warm:
            forget()
            self._warm = step.role
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("AWS_PROFILE", raising=False)
            for name, value in self._environment(step).items():
                patch.setenv(name, value)
            for name, value in keys.items():
                patch.setenv(name.upper(), value)
            patch.setenv("AWS_ENDPOINT_URL", self._world.known.endpoint)
            for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
                patch.setenv(name, HOME)
            yield

    def run(self, step: Step, about: Contained, attempt: int = 1) -> Json:
        """Runs a step, as the state machine calls it. Returns its answer."""
        event: Json = {
            "verb": step.name,
            "incident_id": about.incident_id,
            "execution": about.execution,
            "attempt": attempt,
            "seconds_left": 90,
            "targets": [{**about.target}],
            "error": "",
            "verify_only": False,
        }
        with self.as_function_of(step):
            answer: Json = FUNCTIONS[step.job].handler(event, None)
        return answer

    def planned(self, step: Step, about: Contained) -> Contained:
        """Returns the resource with the scope that its playbook plans for it now."""
        event = {"incident_id": about.incident_id, "execution": about.execution, "verb": "plan"}
        with self.as_function_of(step):
            [plan] = load(step.playbook).plan(steps.make_context(event))
        return about._replace(target={**about.target, "scope": {**plan.target.scope}})

    def lease(self, step: Step, about: Contained, owner: str = "") -> None:
        """Takes the lease, as the function: for the incident's own execution if for nobody else."""
        with self.as_function_of(step):
            record = IncidentRepository(self._world.outputs["table_name"])
            taken = record.leases.acquire(
                about.arn,
                owner or about.execution,
                about.incident_id,
                LEASE_SECONDS,
            )
        assert taken is None, taken

    def _environment(self, step: Step) -> dict[str, str]:
        """The environment that Terraform gave the function."""
        if step.role not in self._environments:
            # what is not deployed has that of its playbook's function, but for its member role
            name = step.role if step.job != "terminate" else step._replace(job="playbook").role
            functions = self._world.client("lambda", SECURITY)
            found = functions.get_function_configuration(FunctionName=name)["Environment"]
            given = dict(found["Variables"])
            if step.job == "terminate":
                given["GDR_RESPONDER_ROLE"] = _for_terminate(given["GDR_RESPONDER_ROLE"])
            self._environments[step.role] = given
        return self._environments[step.role]


def _for_terminate(text: str) -> str:
    return text.replace(f"{PREFIX}-playbook", f"{PREFIX}-terminate").replace(
        f"{PREFIX}-responder", f"{PREFIX}-terminator"
    )


@contextmanager
def role_of_terminate(world: World, step: Step) -> Iterator[None]:
    """The role that modules/function makes for the step's function, where that is switched on.

    It is the role of the playbook's function with other names, and may not write evidence
    (functions.tf).
    """
    iam, like = world.client("iam", SECURITY), step._replace(job="playbook").role
    trust = iam.get_role(RoleName=like)["Role"]["AssumeRolePolicyDocument"]
    policy = iam.get_role_policy(RoleName=like, PolicyName="playbook")["PolicyDocument"]
    for statement in policy["Statement"]:
        if statement["Sid"] == "Evidence":
            statement["Action"] = ["s3:GetObject"]
    iam.create_role(RoleName=step.role, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(
        RoleName=step.role,
        PolicyName="terminate",
        PolicyDocument=_for_terminate(json.dumps(policy)),
    )
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=step.role, PolicyName="terminate")
        iam.delete_role(RoleName=step.role)
