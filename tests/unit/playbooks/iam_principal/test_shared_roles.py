"""Containments that write the same role or permission set: none undoes what another wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from typing import Any

import pytest
from guardduty_response.aws.api import AwsClient, PolicyDocument
from guardduty_response.containment import role_policy_control
from guardduty_response.containment.contract import Target
from guardduty_response.containment.gate import VALID_SECONDS
from guardduty_response.containment.role_policies import OLDER, deny, revoked_before, role_policy
from guardduty_response.containment.role_policy_control import RolePolicies
from guardduty_response.incident import leases, shared_settings
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook
from guardduty_response.playbooks.iam_principal.tags import SETTING

from tests.unit.containment.gates import Clock, PausableGate
from tests.unit.playbooks.iam_principal.center_lab import CenterLab
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.session_judge import moment

pytestmark = pytest.mark.usefixtures("untrimmed_models")
SECOND = "inc-0000000000000002"
SESSIONS_DENIED = {f"{PREFIX}-sessions": "denied"}  # beside what says that the role is contained


def beside(iam: IamLab, target: Target) -> Callable[[], None]:
    """Returns a hook that begins to contain another target, and goes on as soon as it waits."""

    def begin() -> None:
        waits = Event()
        acquire = leases.Leases.acquire

        def acquire_and_tell(*arguments: object, **more: object) -> object:
            lease = acquire(*arguments, **more)  # type: ignore[arg-type]
            if lease:
                waits.set()
            return lease

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                leases.Leases,
                "acquire",
                acquire_and_tell,
            )
            thread = Thread(
                target=playbook.contain,
                args=(iam.context(), target),
                daemon=True,
            )
            thread.start()
            waits.wait(5)  # without a lease it writes meanwhile, and never waits
        iam.ids["thread"] = thread

    return begin


def session(iam: IamLab, name: str, incident: str) -> Target:
    """Returns the plan for another session of the role, as an incident of its own."""
    iam.details["principalId"] = f"{iam.ids['roles']['app']}:{name}"
    planned = iam.planned()
    joined = iam.record.containments.join(
        planned.target.reference(), incident, "iam_principal", iam.ids["roles"]["app"]
    )
    payload = json.loads(json.dumps(planned.target.payload()))
    payload |= {"generation": joined.generation, "opened_by": incident}
    iam.record.put_target(incident, payload)
    return Target(**payload)


def two_sessions(iam: IamLab) -> tuple[Target, Target]:
    """Contains two sessions of a role, each by an incident of its own."""
    iam.open_incident(SECOND, "exec")
    iam.role(session="carol")
    tags = [{"Key": PREFIX, "Value": "of the owner"}, {"Key": "team", "Value": "web"}]
    iam.see().tag_role(RoleName="app", Tags=tags)
    first, second = (
        session(
            iam,
            "carol",
            INCIDENT,
        ),
        session(iam, "dave", SECOND),
    )
    for target in (first, second):
        playbook.contain(iam.context(incident=target.opened_by), target)
        iam.record.containments.set(*target.place or ("", 0), status=Status.CONTAINED)
    return first, second


def restore(iam: IamLab, target: Target) -> Status:
    iam.ids["target"] = target
    return iam.restore(target.opened_by).status


@pytest.mark.parametrize("reverse", [False, True])
def test_a_roles_tags_are_given_back_by_the_last_restore(iam: IamLab, reverse: bool) -> None:
    first, second = two_sessions(iam)
    assert iam.role_dump()["tags"][f"{PREFIX}-incident"] == SECOND
    leaves, stays = (second, first) if reverse else (first, second)
    assert restore(iam, leaves) is Status.RESTORED
    quarantined = {PREFIX: "quarantined", f"{PREFIX}-incident": stays.opened_by}
    assert iam.role_dump()["tags"] == {**quarantined, **SESSIONS_DENIED, "team": "web"}
    assert len(iam.role_dump()["policies"]) == 1, "its session is denied as before"
    assert restore(iam, stays) is Status.RESTORED
    assert iam.role_dump() == {"policies": {}, "tags": {PREFIX: "of the owner", "team": "web"}}


@pytest.mark.parametrize("paused", ["before anything is read", "while the role is read"])
def test_a_refused_containment_needs_nothing_of_the_role(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch, paused: str
) -> None:
    """The next containment of the role denies what all of them need."""
    iam.role(session="carol")
    target, context, clock = session(iam, "carol", INCIDENT), iam.context(), Clock(monkeypatch)
    gate = PausableGate.of(
        iam,
        context,
        target,
        INCIDENT,
    )
    enter = RolePolicies.enter

    def answered_late(control: RolePolicies[Any, Any, Any], revoked: str = "") -> None:
        clock.now += VALID_SECONDS + 1  # IAM has taken longer than a permission lasts
        gate.refuses = "the response is paused by ada"
        enter(control, revoked)

    if paused == "while the role is read":
        monkeypatch.setattr(
            RolePolicies,
            "enter",
            answered_late,
        )
    else:
        gate.refuses = "the response is paused by ada"
    playbook.contain(context, target)
    assert gate.refusal
    assert iam.record.shared.read(target.scope["role_arn"], OLDER).known == {}
    assert iam.role_dump()["policies"] == {}


def test_a_restored_session_contained_again_finds_the_tags_as_they_are_then(iam: IamLab) -> None:
    first, second = two_sessions(iam)
    restore(iam, first)
    restore(iam, second)
    iam.see().tag_role(RoleName="app", Tags=[{"Key": PREFIX, "Value": "newer"}])
    again = session(
        iam,
        "carol",
        INCIDENT,
    )
    assert again.generation == first.generation + 1
    playbook.contain(iam.context(), again)
    assert restore(iam, again) is Status.RESTORED
    assert iam.role_dump()["tags"] == {PREFIX: "newer", "team": "web"}


def test_tags_that_an_ended_containment_left_are_not_the_state_before(iam: IamLab) -> None:
    """Its restore could not remove them, or IAM still shows them. Given back by the last restore,
    they would keep the role quarantined for good.
    """
    first, second = two_sessions(iam)
    restore(iam, second)
    assert iam.role_dump()["tags"][f"{PREFIX}-incident"] == INCIDENT
    iam.record.containments.set(*first.place or ("", 0), status=Status.RESTORE_PARTIAL)
    again = session(
        iam,
        "dave",
        SECOND,
    )
    playbook.contain(iam.context(incident=SECOND), again)
    iam.record.containments.set(*again.place or ("", 0), status=Status.CONTAINED)
    assert restore(iam, again) is Status.RESTORED
    assert iam.role_dump()["tags"] == {PREFIX: "of the owner", "team": "web"}


def test_a_session_that_is_contained_while_the_last_one_is_restored_keeps_the_tags(
    iam: IamLab,
) -> None:
    """It enters between the restore's reading and its writing."""
    iam.open_incident(SECOND, "exec")
    iam.role(session="carol")
    first = session(
        iam,
        "carol",
        INCIDENT,
    )
    playbook.contain(iam.context(), first)
    second = session(
        iam,
        "dave",
        SECOND,
    )
    readings = 0

    def contain_second() -> None:
        nonlocal readings
        readings += 1
        if readings == 1:  # restore has read the tags, and is about to take them away
            context = iam.context(incident=SECOND)
            context.assume = partial(iam.assume, job="responder")  # beside the restorer
            playbook.contain(context, second)

    with pytest.MonkeyPatch.context() as patch:
        hold = shared_settings.SharedSettings.hold

        def hold_later(*arguments: object) -> object:
            if arguments[-1] != f"exec {second.id}":
                contain_second()
            return hold(*arguments)  # type: ignore[arg-type]

        patch.setattr(
            shared_settings.SharedSettings,
            "hold",
            hold_later,
        )
        assert restore(iam, first) is Status.RESTORED
    wanted = {PREFIX: "quarantined", f"{PREFIX}-incident": SECOND}
    assert iam.role_dump()["tags"] == {**wanted, **SESSIONS_DENIED}


def test_a_busy_roles_tags_are_not_written_and_that_is_said(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shared_settings,
        "WAIT_SECONDS",
        0.0,
    )
    target = iam.role().plan()
    with iam.record.shared.hold(
        iam.ids["arn"],
        SETTING,
        "somebody",
    ):
        playbook.contain(iam.context(), target)
    assert iam.actions()["tag_role"] == "FAILED"
    assert "is being written by somebody" in iam.detail("tag_role")
    assert iam.role_dump()["tags"] == SESSIONS_DENIED


def test_two_revocations_of_a_role_side_by_side_leave_the_later_date(iam: IamLab) -> None:
    """The second begins half a minute later, while the first is about to write."""
    iam.options["revoke_sessions"] = "role"
    iam.role(session="carol")
    first, second = (
        session(
            iam,
            "carol",
            INCIDENT,
        ),
        session(iam, "dave", INCIDENT),
    )

    def begin_later() -> None:
        iam.clock_offset += 30
        beside(iam, second)()

    iam.hooks.append(("PutRolePolicy", lambda: iam.hooks.append(("PutRolePolicy", begin_later))))
    playbook.contain(iam.context(), first)
    iam.ids["thread"].join(20)
    assert not iam.ids["thread"].is_alive()
    later = iam.record.containments.read(*second.place or ("", 0)).before["sessions"]
    assert revoked_before(iam.role_policies()[OLDER]) == later["revoked_before"]
    [name] = iam.role_policies().keys() - {OLDER}
    assert all(f":{session}" in str(iam.role_policies()[name]) for session in ("carol", "dave"))


def test_a_stale_view_of_older_sessions_does_not_take_back_a_later_date(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM shows for a while what was there before another containment's write."""
    monkeypatch.setattr(
        shared_settings,
        "SPREAD_SECONDS",
        10,
    )
    monkeypatch.setattr(
        shared_settings,
        "PAUSE_SECONDS",
        0.01,
    )
    iam.options["revoke_sessions"] = "role"
    iam.role(session="carol")
    later = {
        "Version": "2012-10-17",
        "Statement": [
            {
                **deny(
                    "StringEquals",
                    "aws:PrincipalTag/team",
                    "web",
                ),
                "Sid": "Ours",
            },
            deny("DateLessThan", "aws:TokenIssueTime", moment(3600)),
        ],
    }
    iam.see().put_role_policy(
        RoleName="app",
        PolicyName=OLDER,
        PolicyDocument=json.dumps(later),
    )
    with iam.record.shared.hold(
        iam.ids["arn"],
        OLDER,
        "another containment",
    ) as held:
        held.written(later)
    target = iam.plan()
    views: list[PolicyDocument | None] = [None, None]  # as it was before that

    def shown_late(client: AwsClient, role_name: str, name: str) -> PolicyDocument | None:
        return (
            views.pop()
            if name == OLDER and views
            else role_policy(
                client,
                role_name,
                name,
            )
        )

    monkeypatch.setattr(
        role_policy_control,
        "role_policy",
        shown_late,
    )
    playbook.contain(iam.context(), target)
    assert iam.role_policies()[OLDER] == later
    assert views == []


def test_two_people_of_a_permission_set_side_by_side_are_both_denied(center: CenterLab) -> None:
    """The second begins between the first's reading and writing: neither statement is lost."""
    iam = center.iam
    first = iam.plan()
    center.signed_in("dave", "PowerUser")
    second = iam.plan()
    iam.hooks.append(("PutInlinePolicyToPermissionSet", beside(iam, second)))
    playbook.contain(iam.context(), first)
    iam.ids["thread"].join(20)
    assert not iam.ids["thread"].is_alive()
    assert sorted(center.denied(center.statements("PowerUser"))) == sorted(
        [center.people["carol"], center.people["dave"]]
    )
