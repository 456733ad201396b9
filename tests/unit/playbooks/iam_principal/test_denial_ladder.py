"""Sessions that a role's inline policies have no room for are denied all the same, and it is said
how.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from sandbox.emulator.policy_sizes import INLINE
from tests.support.policy_oracle import decide
from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.session_judge import ALLOW_EVERYTHING, moment
from tests.unit.playbooks.iam_principal.test_aws_manners import filling
from tests.unit.playbooks.iam_principal.test_shared_roles import restore, session

pytestmark = pytest.mark.usefixtures("untrimmed_models")
SESSIONS = f"{PREFIX}-sessions"


def attached(iam: IamLab, name: str = "app") -> dict[str, PolicyDocument]:
    """The managed policies of a role, by name."""
    client = iam.see()
    found = {}
    for policy in client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = client.get_policy_version(PolicyArn=arn, VersionId=version)
        found[policy["PolicyName"]] = answer["PolicyVersion"]["Document"]
    return found


def allowed(iam: IamLab, name: str, issued: float = -60, of: str = "app") -> bool:
    """Whether a session may still do what the role allows, by all of its policies."""
    keys = {
        "aws__userid": f"{iam.ids['roles'][of]}:{name}",
        "aws__TokenIssueTime": moment(issued),
    }
    policies: list[str | PolicyDocument] = [ALLOW_EVERYTHING, *attached(iam, of).values()]
    policies += iam.role_policies(of).values()
    principal = f"arn:aws:sts::{MEMBER}:assumed-role/{of}/{name}"
    return bool(
        decide(
            policies,
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            principal,
            **keys,
        )
        == "Allow"
    )


def fill(iam: IamLab, room: int = 0, name: str = "app") -> None:
    """Leaves so many characters of room in a role's inline policies."""
    text = filling(INLINE["role"] - room)
    text = filling(2 * (INLINE["role"] - room) - len("".join(text.split())))
    assert len("".join(text.split())) == INLINE["role"] - room
    iam.see().put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=text,
    )


def fill_attachments(iam: IamLab) -> None:
    client = iam.see()
    for number in range(10):
        text = json.dumps(ALLOW_EVERYTHING)
        made = client.create_policy(PolicyName=f"own-{number}", PolicyDocument=text)["Policy"]
        client.attach_role_policy(RoleName="app", PolicyArn=made["Arn"])


def managed_name(iam: IamLab) -> str:
    [name] = [name for name in attached(iam) if name.startswith(f"{SESSIONS}-")]
    return name


def test_a_full_role_gets_a_managed_policy_until_it_is_restored(iam: IamLab) -> None:
    iam.role()
    fill(iam)
    before = iam.role_dump()
    assert iam.respond().status is Status.CONTAINED
    assert not allowed(iam, "carol")
    assert allowed(iam, "dave")
    name = managed_name(iam)
    assert f"managed policy {name} (the role's inline policies are full" in iam.detail(
        "revoke_sessions"
    )
    iam.clock_offset += 30
    assert iam.respond(iam.ids["target"]).status is Status.CONTAINED
    assert iam.restore().status is Status.RESTORED
    assert iam.role_dump() == before
    assert attached(iam) == {}
    own = iam.see().list_policies(Scope="Local")["Policies"]
    assert [policy["PolicyName"] for policy in own] == [], "it is deleted"


def test_a_managed_policy_that_is_detached_is_a_loss_and_attached_again(iam: IamLab) -> None:
    iam.role()
    fill(iam)
    target = iam.plan()
    iam.respond(target)
    arn = f"arn:aws:iam::{MEMBER}:policy/{managed_name(iam)}"
    iam.see().detach_role_policy(RoleName="app", PolicyArn=arn)
    check = target._replace(verify_only=True)
    assert playbook.verify(iam.context(), check)[0].status is Status.FAILED
    assert iam.respond(iam.plan()).status is Status.CONTAINED
    assert not allowed(iam, "carol")


def test_sessions_of_a_full_role_share_the_managed_policy(iam: IamLab) -> None:
    iam.open_incident("inc-0000000000000002", "exec")
    iam.role()
    fill(iam)
    names = [f"session-{number}" for number in range(7)]
    targets = [
        session(
            iam,
            name,
            INCIDENT,
        )
        for name in names
    ]
    for target in targets:
        playbook.contain(iam.context(), target)
        assert iam.record.target(
            INCIDENT,
            target.kind,
            target.id,
        )["actions"]["revoke_sessions"]["status"] == ("DONE")
        iam.record.containments.set(*target.place or ("", 0), status=Status.CONTAINED)
    assert not any(allowed(iam, name) for name in names)
    arn = f"arn:aws:iam::{MEMBER}:policy/{managed_name(iam)}"
    assert len(iam.see().list_policy_versions(PolicyArn=arn)["Versions"]) <= 5
    assert restore(iam, targets[3]) is Status.RESTORED
    assert [name for name in names if allowed(iam, name)] == ["session-3"]


def test_where_no_policy_can_be_attached_the_older_sessions_are_denied(iam: IamLab) -> None:
    iam.role()
    fill(iam, room=175)
    fill_attachments(iam)
    assert iam.respond().status is Status.CONTAINED
    assert set(iam.role_policies()) == {"own", OLDER}
    assert not allowed(iam, "carol")
    assert not allowed(iam, "dave")
    made = iam.see().list_policies(Scope="Local")["Policies"]
    assert not [name for name in made if name["PolicyName"].startswith(SESSIONS)], "not left behind"
    detail = iam.detail("revoke_sessions")
    assert f"denied by {OLDER}, because" in detail
    assert "every workload of the role needs new credentials" in detail
    assert iam.restore().status is Status.RESTORED
    assert set(iam.role_policies()) == {"own"}


def test_all_sessions_by_option_need_no_room_for_their_names(iam: IamLab) -> None:
    iam.options["revoke_sessions"] = "role"
    iam.role()
    fill(iam, room=175)
    fill_attachments(iam)
    assert iam.respond().status is Status.CONTAINED
    assert set(iam.role_policies()) == {"own", OLDER}
    assert iam.restore().status is Status.RESTORED
    assert set(iam.role_policies()) == {"own"}


def test_a_role_with_room_for_nothing_is_not_contained_and_says_what_to_run(iam: IamLab) -> None:
    iam.role()
    fill(iam)
    fill_attachments(iam)
    assert iam.respond().status is Status.FAILED
    assert set(iam.role_policies()) == {"own"}
    assert len(attached(iam)) == 10
    detail = iam.detail("revoke_sessions")
    assert "LimitExceeded" in detail
    assert "aws iam put-role-policy --role-name app" in detail


@pytest.mark.parametrize("full", [False, True])
def test_three_hundred_sessions_of_a_role_are_dead_with_all_that_are_older(
    iam: IamLab, full: bool
) -> None:
    """``full``: the role's inline policies have no room for the date either, so that the managed
    policy has it.
    """
    iam.user().role("admin", session=None)
    if full:
        fill(iam, name="admin")
    own = set(iam.role_policies("admin"))
    caller = {**user_identity(), "principalId": iam.ids["user"]}
    for number in range(300):
        iam.add_assume_role(
            caller,
            "admin",
            f"botocore-session-{number:010d}",
            f"ASIA{number}",
        )
    assert iam.respond().status is Status.CONTAINED
    assert set(iam.role_policies("admin")) == own | (set() if full else {OLDER})
    assert len(attached(iam, "admin")) == full
    for name in ("botocore-session-0000000000", "botocore-session-0000000299", "somebody"):
        assert not allowed(iam, name, of="admin")
    assert allowed(iam, "botocore-session-0000000299", 60, of="admin"), "new credentials work"
    assert "every workload of the role needs new credentials" in iam.detail("held_sessions")
    assert iam.restore().status is Status.RESTORED
    assert set(iam.role_policies("admin")) == own
    assert attached(iam, "admin") == {}


def test_held_sessions_of_a_full_role_get_a_managed_policy(iam: IamLab) -> None:
    iam.user().role("app", session=None)
    fill(iam)
    caller = {**user_identity(), "principalId": iam.ids["user"]}
    iam.add_assume_role(
        caller,
        "app",
        "alice-1",
        "ASIA1",
    )
    assert iam.respond().status is Status.CONTAINED
    assert not allowed(iam, "alice-1")
    assert allowed(iam, "dave")
    assert iam.restore().status is Status.RESTORED
    assert attached(iam) == {}
    assert set(iam.role_policies()) == {"own"}
