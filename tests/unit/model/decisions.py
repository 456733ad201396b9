"""What the model knows of decisions: the conditions of now, what people approved, what may change.

It says, by the documents alone, what each plan must decide and which changes the gate lets pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.unit.deployment import TABLE, Deployment
from tests.unit.model.machine import Course
from tests.unit.model.settings_playbook import CLOSED, Resource

Shown = dict[str, str]  # item -> its value, as a plan says them
OTHER = "arn:aws:states:eu-central-1:123456789012:execution:guardduty-response-incident:other"
# What a run that ends without acting makes of an incident that was contained (docs/statuses.md).
KEPT = {
    "CONTAINED": "PARTIAL",
    "PARTIAL": "PARTIAL",
    "FAILED": "FAILED",
    "BREACHED": "BREACHED",
    "RESTORE_PARTIAL": "PARTIAL",
}
_WORST_FIRST = ("BREACHED", "FAILED", "PARTIAL", "RESTORE_PARTIAL")


def worst(statuses: set[str]) -> str:
    """Returns what an incident takes of its targets (docs/decisions/0029)."""
    if len(statuses) == 1:
        return min(statuses)
    found = [status for status in _WORST_FIRST if status in statuses]
    return found[0] if found else "RESTORE_PARTIAL" if "RESTORED" in statuses else "PARTIAL"


@dataclass
class Conditions:
    """Holds what people and applies have set, and stores it in the deployment."""

    deployment: Deployment
    mode: str = "auto"
    paused: str = ""  # by whom: terraform, operator
    exempt: set[str] = field(default_factory=set)
    frozen: bool = False

    def change(self, what: str, resource: str) -> None:
        """Changes one condition: by its name, or all back to what lets everything pass."""
        if what in ("auto", "approve"):
            self.mode = what
        elif what in ("terraform", "operator"):
            self.paused = what
        elif what == "exempt":
            self.exempt ^= {resource}
        elif what == "freeze":
            self.frozen = not self.frozen
        else:
            self.mode, self.paused, self.frozen = "auto", "", False
            self.exempt.clear()
        self.store()

    def store(self) -> None:
        window = {"name": "year's end", "start": "2000-01-01T00:00:00Z"}
        frozen = [{**window, "end": "2999-01-01T00:00:00Z"}] if self.frozen else []
        self.deployment.configure(
            {
                "playbooks.ec2_instance": {"finish": "none", "restore": True},
                "remediations": {"*": self.mode},
                "paused": self.paused == "terraform",
                "guardrails.circuit_breaker": None,
                "guardrails.exempt_resources": sorted(self.exempt),
                "guardrails.freeze_windows": frozen,
            }
        )
        self.deployment.dynamodb.put_item(
            TableName=TABLE,
            Item={
                "pk": {"S": "CONTROL"},
                "sk": {"S": "OPERATOR"},
                "paused": {"BOOL": self.paused == "operator"},
            },
        )

    def forbids(self, resource: str) -> bool:
        """Tells whether nothing may be changed, whatever was decided or approved."""
        return bool(self.paused) or resource in self.exempt

    def decision(self, resource: str) -> str:
        """Returns what a plan must decide that nobody has approved."""
        if self.forbids(resource):
            return "skip"
        return "approve" if self.mode == "approve" or self.frozen else "act"


@dataclass
class Run:
    """Holds an execution at work: what it is about, and what people have approved of it.

    ``was``: the incident's status before. ``expected``: what its plans must decide. ``seen``: what
    the latest plan has read; ``shown``: what people were asked about last; ``approved``: the same,
    once they have approved it. ``asked_in``: the generation of the containment when people were
    first asked. ``ended``: how it ends without acting.
    """

    name: str
    resource: Resource
    was: str
    named_another: bool
    course: Course = field(default_factory=Course)
    expected: list[str] = field(default_factory=list)
    seen: Shown = field(default_factory=dict)
    shown: Shown = field(default_factory=dict)
    approved: Shown | None = None
    is_approved: bool = False  # what the latest plan has read is what was approved
    needs_approval: bool = False  # by the conditions of the latest plan
    asked_in: int = 0
    asked: int = 0
    attempt: int = 0
    ended: str = ""

    def plan(self, decision: str, seen: Shown, contained_meanwhile: bool) -> None:
        """Takes what a plan reads, and by the conditions alone must decide."""
        self.seen, self.needs_approval = seen, decision == "approve"
        same = self.approved == seen
        meanwhile = contained_meanwhile and seen.keys() <= self.shown.keys()
        self.is_approved = self.approved is not None and (
            same or (meanwhile and self.needs_approval)
        )
        approved = self.needs_approval and self.is_approved
        self.expected.append("act" if approved else decision)

    def answer(self, kind: str) -> None:
        """Takes a person's answer: only one that is clear, and about this plan, approves."""
        approves = kind == "approved" or (kind == "unnamed" and self.asked == 1)
        self.approved = self.shown if approves else None
        self.ended = {"silence": "TIMED_OUT"}.get(kind, "REJECTED")

    def forbids(self, conditions: Conditions) -> bool:
        """Tells whether the conditions of now forbid what the latest plan was allowed."""
        asks = conditions.mode == "approve" or self.needs_approval
        return asks and not self.is_approved

    def value_before(self, resource: Resource, item: str) -> str:
        """Returns the value that containment replaces: the plan's, while that is fresh."""
        planned = self.seen.get(item, CLOSED)
        fresh = self.attempt == 1 and resource is self.resource and planned != CLOSED
        return planned if fresh else resource.values[item]


def answers(kind: str, digest: str) -> dict[str, Any]:
    """Returns an answer to a question about the plan ``digest``."""
    given: dict[str, dict[str, Any]] = {
        "approved": {"approved": True, "plan": digest[:12]},
        "unnamed": {"approved": True},
        "another": {"approved": True, "plan": "0" * 12},
        "rejected": {"approved": False, "plan": digest[:12]},
        "unclear": {"approved": "true", "plan": digest[:12]},
    }
    return {**given[kind], "by": "ada"}
