"""Which options a containment is verified by when an apply changed them after its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.functions import respond
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import Table, incident_key

from tests.support.repository import load_finding
from tests.unit.checks import counts
from tests.unit.deployment import EXECUTIONS, TABLE, Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import call, notified
from tests.unit.monitoring.contained_incident import Case

PROFILE = "replace_instance_profile"


class Instance:
    """An instance's profile, which containment replaces where the option says so, and a group that
    the options name.
    """

    def __init__(self, fake: FakePlaybook) -> None:
        self.fake, self.profile, self.group, self.endpoints = fake, "app", "", False
        fake.contain = self.contain  # type: ignore[method-assign]
        fake.verify = self.verify  # type: ignore[method-assign]

    def contain(self, context: Context, target: Target) -> StepResult:
        self.fake._step("contain", context, target)
        if context.options.get(PROFILE):
            self.profile = "quarantine"
        self.group = context.options.get("group") or "own"
        self.endpoints = context.config.forensics["when"] == "after"
        return StepResult()

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        self.fake._step("verify", context, target)
        off = not context.options.get(PROFILE)
        known = self.group in ("own", context.options.get("group"))
        spared = not self.endpoints or context.config.forensics["when"] == "after"
        checks = [
            Check("profile", off or self.profile == "quarantine", "the profile"),
            Check("network", known and spared, "the network", fatal=True),
        ]
        failed = [check for check in checks if not check.ok]
        status = Status.PARTIAL if failed else Status.CONTAINED
        return StepResult(status=Status.FAILED if failed and failed[-1].fatal else status), checks


class Changed(Case):
    """A contained instance, and applies that change the options."""

    def __init__(self, deployment: Deployment, fake: FakePlaybook) -> None:
        super().__init__(deployment, fake)
        self.instance = Instance(fake)

    def see(self, *checks: Check) -> None:
        """What verify reads follows from the instance."""

    def apply(self, when: str = "off", minutes: int = 60, **options: Any) -> None:
        configure(
            self.deployment,
            **{
                "playbooks.fake": {"finish": "none", **options},
                "forensics.when": when,
                "evidence.log_window_minutes": minutes,
            },
        )

    def by_the_machine(self) -> str:
        """Has the incident machine verify it, as a person may; returns the status."""
        self.check()
        return str(self.meta["status"])


@pytest.fixture
def changed(deployment: Deployment, fake: FakePlaybook) -> Changed:
    made = Changed(deployment, fake)
    made.apply(replace_instance_profile=True, group="sg-1")
    return made


def test_what_was_contained_is_verified_although_its_option_is_off_by_now(
    changed: Changed,
) -> None:
    changed.contain()
    changed.apply(replace_instance_profile=False, group="sg-1")
    assert changed.check_all() == counts(held=1)
    changed.instance.profile = "app"  # somebody gave it back
    assert changed.check_all() == counts(lost=1)
    assert notified(changed.deployment)[0] == ["BREACHED", "CONTAINED"]
    assert changed.instance.profile == "quarantine", "contained again by what it was contained with"
    assert changed.contained() == 2
    assert changed.meta["options"][PROFILE] is True
    assert changed.check_all() == counts(held=1)


def test_the_machine_verifies_it_too(changed: Changed) -> None:
    changed.contain()
    changed.apply(replace_instance_profile=False, group="sg-1")
    changed.instance.profile = "app"
    changed.by_the_machine()
    assert notified(changed.deployment)[0] == ["BREACHED", "CONTAINED"]
    assert changed.instance.profile == "quarantine"


@pytest.mark.parametrize("group", ["sg-2", None])
def test_what_was_not_contained_is_no_loss_when_an_apply_switches_it_on(
    changed: Changed, group: str | None
) -> None:
    changed.apply(replace_instance_profile=False, group="sg-1")
    changed.contain()
    changed.apply(replace_instance_profile=True, group=group)
    assert changed.check_all() == counts(held=1)
    assert changed.by_the_machine() == "CONTAINED"
    assert notified(changed.deployment) == ([], [])
    assert changed.instance.profile == "app"


def test_a_switch_that_the_verdict_did_not_know_is_off(changed: Changed) -> None:
    changed.apply(group="sg-1")
    changed.contain()
    changed.apply(replace_instance_profile=True, group="sg-1")
    assert changed.check_all() == counts(held=1)
    assert changed.by_the_machine() == "CONTAINED"


@pytest.mark.parametrize(("then", "now"), [("after", "off"), ("off", "after")])
def test_endpoint_rules_are_judged_as_at_the_verdict(changed: Changed, then: str, now: str) -> None:
    changed.apply(then, replace_instance_profile=True)
    changed.contain()
    changed.apply(now, replace_instance_profile=True)
    assert changed.check_all() == counts(held=1)
    assert changed.by_the_machine() == "CONTAINED"
    changed.instance.endpoints = not changed.instance.endpoints
    assert changed.check_all() == counts(**({"held": 1} if then == "after" else {"lost": 1}))


def test_the_time_range_is_the_verdict_s(changed: Changed) -> None:
    changed.contain()
    changed.apply(minutes=600)
    changed.check_all()
    assert changed.fake.seen[-1].config.evidence["log_window_minutes"] == 60
    changed.check()
    assert changed.fake.seen[-1].config.evidence["log_window_minutes"] == 60


def test_a_plan_that_waits_for_an_approval_does_not_change_what_is_verified(
    changed: Changed,
) -> None:
    """META has the options of the newest plan, which nobody has carried out."""
    changed.instance.profile = "app"
    changed.contain()
    options = {"finish": "none", PROFILE: False, "group": "sg-2"}
    _set_meta(changed, status="AWAITING_APPROVAL", held="CONTAINED", options=options)
    assert changed.check_all() == counts(held=1)
    changed.instance.profile = "app"
    assert changed.check_all() == counts(lost=1)


def test_records_without_what_they_were_contained_with_go_by_their_plan(changed: Changed) -> None:
    changed.contain()
    _forget(changed)
    changed.apply(replace_instance_profile=False, group=None)
    assert changed.check_all() == counts(held=1)
    assert changed.by_the_machine() == "CONTAINED"
    changed.instance.profile = "app"
    assert changed.check_all() == counts(lost=1)
    assert changed.instance.profile == "quarantine"


def test_what_0_1_did_not_have_is_off_in_its_records(changed: Changed) -> None:
    """They have no options at all: those of now count, except switches that are newer."""
    changed.apply(group="sg-1")
    changed.contain()
    _forget(changed)
    _set_meta(changed, remove=["options"], decision="act")
    changed.apply(group="sg-1", disable_metadata=True)
    changed.check_all()
    seen = changed.fake.seen[-1].options
    assert (seen["disable_metadata"], seen["group"]) == (False, "sg-1")


def test_every_step_of_containing_again_has_the_same_options(changed: Changed) -> None:
    changed.contain()
    changed.apply(replace_instance_profile=False, group="sg-2")
    changed.instance.group = "sg-open"
    changed.fake.calls.clear()
    changed.fake.seen.clear()
    assert changed.check_all() == counts(lost=1)
    assert changed.meta["status"] == "CONTAINED"
    steps = [
        context.options.get("group")
        for (name, _), context in zip(changed.fake.calls, changed.fake.seen, strict=True)
        if name in ("contain", "verify")
    ]
    assert set(steps) == {"sg-1"}
    assert changed.instance.group == "sg-1"


def test_containing_anew_goes_by_the_options_of_now(changed: Changed) -> None:
    """A recurrence of a PARTIAL incident is evaluated anew, and so verified by its new plan."""
    changed.contain()
    _set_meta(changed, status="PARTIAL")
    changed.apply(replace_instance_profile=False, group="sg-2")
    later = load_finding()
    later["detail"]["service"]["eventLastSeen"] = "2031-02-03T04:05:06.000Z"
    changed.run(later)
    assert changed.instance.group == "sg-2"
    assert changed.check_all() == counts(held=1)
    assert _state(changed)["contained_with"]["options"]["group"] == "sg-2"


def test_an_ordinary_containment_carries_no_options(changed: Changed) -> None:
    answer = respond.handler(
        {"verb": "plan", "incident_id": _opened(changed), "execution": f"{EXECUTIONS}incident:x"},
        None,
    )
    assert "contained_with" not in answer["targets"][0]


def _opened(changed: Changed) -> str:
    opened = call("open", event=load_finding(), execution=f"{EXECUTIONS}incident:x")
    return str(opened["incident_id"])


def _set_meta(changed: Changed, remove: Sequence[str] = (), **fields: Any) -> None:
    Table(TABLE).update(incident_key(changed.incident_id), "META", fields, remove=list(remove))


def _state(changed: Changed) -> dict[str, Any]:
    items = changed.deployment.items(f"CONTAINMENT#{ARN}")
    [state] = [item for item in items if item["sk"].endswith("#STATE")]
    return state


def _forget(changed: Changed) -> None:
    """Makes the containment one of a release that did not keep what it was contained with."""
    state = _state(changed)
    fields = {"verdict": state["verdict"]}
    Table(TABLE).update(state["pk"], state["sk"], fields, remove=["contained_with"])
