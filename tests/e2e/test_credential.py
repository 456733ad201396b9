"""A stolen credential is contained: proven by calling with it, and read back by clients that
share nothing with the response.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from guardduty_response.aws.conflicts import retry_on_conflict

from sandbox import human_request
from tests.e2e.credential_world import STOLEN, People
from tests.e2e.e2e_world import MANNERS, MEMBER, PREFIX, WAITS, Json, World, actions, events

EXFILTRATED = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def _deny_of(policies: dict[str, Json]) -> Json:
    """The condition of the one policy that denies sessions."""
    [statement] = policies[f"{PREFIX}-sessions"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    return dict(statement["Condition"])


def test_a_user_with_everything(world: World, iam: People) -> None:
    traits = (
        "console",
        "mfa_before",
        "mfa_after",
        "ssh_key",
        "service_credential",
        "certificate",
        "temporary",
        "group",
    )
    user = iam.user(
        keys=2,
        sessions=1,
        **dict.fromkeys(traits, True),
    )
    [(arn, held)] = user.sessions.items()
    role = arn.split("/")[1]
    before, role_before = iam.seen(user.name), iam.role_policies(role)
    assert user.temporary and all(
        iam.works(credentials) for credentials in (*user.keys, held, user.temporary)
    )
    world.clock(waits=1)  # the ten seconds between the two readings are what is shown here
    sent = world.send(iam.about(user))
    world.status(sent, "CONTAINED")
    world.clock(waits=WAITS)
    incident = world.settled(sent)
    assert (incident["status"], incident["playbook"]) == ("CONTAINED", "iam_principal"), incident
    [target] = incident["targets"]
    assert (target["kind"], target["id"], target["arn"]) == ("iam_user", user.name, user.arn)
    after = iam.seen(user.name)
    assert after["attached"] == sorted([*before["attached"], "AWSDenyAll"])
    for kind, count in (("keys", 2), ("ssh", 1), ("own", 1), ("certificates", 1)):
        assert list(after[kind].values()) == ["Inactive"] * count, kind
    assert not after["console"] and after["mfa"] == [user.mfa["before"]]
    assert after["tags"] == {PREFIX: "quarantined", f"{PREFIX}-incident": incident["incident_id"]}
    assert not any(iam.works(credentials) for credentials in (*user.keys, user.temporary)), (
        "no key of it works"
    )
    assert not iam.works(held), "nor the session it held of a role"
    assert _deny_of(iam.role_policies(role))["StringEquals"]["aws:userid"][0].endswith(
        f":{arn.rsplit('/', 1)[1]}"
    )
    assert (
        world.notified(sent)[:2] == ["started", "CONTAINED"]
        and world.notified(sent, "escalations") == []
    )
    assert "s after the last change" in target["verdict"]
    assert int(target["verdict"].split(" s after")[0].rsplit(" ", 1)[1]) >= 10, (
        "read once more when it has spread"
    )

    human_request.ask(world.known, incident)
    restored = world.incident(sent)
    assert restored["status"] == "RESTORE_PARTIAL"
    left = restored["targets"][0]["restored"]["not_restored"]
    assert sorted("password" in remaining or "MFA" in remaining for remaining in left) == [
        True,
        True,
    ], left
    assert iam.seen(user.name) == {
        **before,
        "console": False,
        "mfa": [user.mfa["before"]],
    }
    assert iam.role_policies(role) == role_before
    assert all(iam.works(credentials) for credentials in (*user.keys, held))


BARE: dict[str, dict[str, Any]] = {
    "no keys, console only": {"keys": 0, "console": True},
    "one key": {},
    "nothing at all": {"keys": 0},
}


@pytest.mark.parametrize("traits", BARE)
def test_a_user_that_has_little(world: World, iam: People, traits: str) -> None:
    user = iam.user(**BARE[traits])
    incident = world.settled(world.send(iam.about(user)))
    assert incident["status"] == "CONTAINED", (incident["targets"], incident["reasons"])
    assert "AWSDenyAll" in iam.seen(user.name)["attached"]
    assert "FAILED" not in actions(incident).values()


def test_the_policy_quota_is_full(world: World, iam: People) -> None:
    user = iam.user(quota_full=True, boundary=True)
    incident = world.settled(world.send(iam.about(user)))
    assert incident["status"] == "CONTAINED", (incident["targets"], incident["reasons"])
    seen = iam.seen(user.name)
    assert seen["boundary"] == DENY_ALL and "AWSDenyAll" not in seen["attached"]
    assert not iam.works(user.keys[0])
    human_request.ask(world.known, incident)
    assert world.incident(incident["incident_id"])["status"] == "RESTORED"
    assert iam.seen(user.name)["boundary"] == user.boundary and iam.works(user.keys[0])


def test_one_session_of_a_role_alone(world: World, iam: People) -> None:
    role = iam.role(sessions=["stolen", "other"])
    before = iam.role_policies(role.name)
    incident = world.settled(world.send(iam.about_session(role, "stolen")))
    assert incident["status"] == "CONTAINED", (incident["targets"], incident["reasons"])
    assert (incident["targets"][0]["kind"], incident["targets"][0]["id"]) == (
        "role_session",
        f"{role.name}/stolen",
    )
    assert not iam.works(role.sessions["stolen"]) and iam.works(role.sessions["other"])
    condition = _deny_of(iam.role_policies(role.name))
    assert condition["StringEquals"] == {"aws:userid": [f"{role.id}:stolen"]}
    assert set(condition["DateLessThan"]) == {"aws:TokenIssueTime"}
    human_request.ask(world.known, incident)
    assert world.incident(incident["incident_id"])["status"] == "RESTORED"
    assert iam.works(role.sessions["stolen"]) and iam.role_policies(role.name) == before


def test_stolen_instance_credentials_end_and_the_instance_is_handed_over(
    world: World, iam: People
) -> None:
    victim = world.victim(
        in_asg=False,
        target_group=False,
        elastic_ip=False,
    )
    found = iam.finding(
        EXFILTRATED,
        accessKeyId="ASIASTOLEN0000000000",
        userType="AssumedRole",
        userName=victim.role,
        principalId=f"{victim.role_id}:{victim.instance}",
    )
    incident = world.settled(world.send(found))
    assert incident["status"] == "CONTAINED", (incident["targets"], incident["reasons"])
    assert actions(incident)["hand_over_to_ec2_instance"] == "DONE"
    policies = world.role_policies(victim)
    assert "AWSRevokeOlderSessions" not in policies
    assert f"{victim.role_id}:{victim.instance}" in str(policies[f"{PREFIX}-sessions"])

    def answered() -> Json | None:
        ours = [
            incident
            for incident in world.incidents.all()
            if any(t["id"] == victim.instance for t in incident["targets"])
        ]
        return ours[0] if ours and ours[0]["status"] == "CONTAINED" else None

    other = world.until(answered, "the instance is contained by an incident of its own")
    assert other["incident_id"] != incident["incident_id"] and other["playbook"] == "ec2_instance"
    [group] = world.quarantine_groups(victim)
    assert all(groups == [group] for groups in world.look(victim).interfaces.values())
    assert _meta(world, other)["parent"] == incident["incident_id"]
    assert _meta(world, incident)["children"] == [other["incident_id"]]

    def told_of_each_other() -> bool:
        parent, child = incident["incident_id"], other["incident_id"]
        named = {
            parent: f"Child     incident {child}, now ",
            child: f"Parent    incident {parent}, now ",
        }
        return all(
            any(line in message["text"] for message in world.messages(of))
            for of, line in named.items()
        )

    world.until(told_of_each_other, "the messages of parent and child name each other")


def _meta(world: World, incident: Json) -> Json:
    items = world.incidents.partition(f"INCIDENT#{incident['incident_id']}")
    return next(item for item in items if item["sk"] == "META")


NOT_CONTAINABLE: dict[str, tuple[Json, str]] = {
    "root": (
        {"userType": "Root", "userName": "Root", "accessKeyId": "ASIAROOT000000000000"},
        "create-policy",
    ),
    # a role of Identity Center's, made below
    "identity_center": ({}, "put-inline-policy-to-permission-set"),
    # of AWS too: by its path, which nobody else can give
    "service_linked_role": ({}, "delete-service-linked-role"),
    "federated_user": (
        {
            "userType": "FederatedUser",
            "principalId": f"{MEMBER}:bob",
            "userName": "bob",
            "accessKeyId": "ASIAFEDERATED0000000",
        },
        "attach-user-policy",
    ),
    "foreign_principal": ({"userType": "AWSAccount", "userName": "333333333333"}, "333333333333"),
}


@pytest.mark.parametrize("kind", NOT_CONTAINABLE)
def test_what_iam_cannot_contain_is_never_called_contained(
    world: World, iam: People, kind: str
) -> None:
    details, command = NOT_CONTAINABLE[kind]
    if not details:
        made = iam.role(
            trust={"identity_center": "sso", "service_linked_role": "slr"}[kind],
            sessions=["alice@example.com"],
        )
        details = {
            "userType": "AssumedRole",
            "userName": made.name,
            "principalId": f"{made.id}:alice@example.com",
        }
    if kind == "root":
        # The sandbox is applied by the member's root user: undoing what root did would undo that.
        world.clock(lag=3600)
    sent = world.send(iam.finding(**details))
    incident = world.settled(sent)
    assert incident["status"] == "FAILED", incident
    [target] = incident["targets"]
    assert target["kind"] == kind
    manual_commands = [
        action for action in target["actions"] if action["name"].startswith("by_hand_")
    ]
    assert manual_commands and any(
        command in remaining["detail"] for remaining in manual_commands
    ), manual_commands
    [message] = [
        message for message in world.messages(sent, "escalations") if message["event"] == "FAILED"
    ]
    assert all(remaining["detail"][:60] in message["text"] for remaining in manual_commands), (
        "the commands are in the message"
    )


def test_exempt_principals_are_left_alone_and_the_response_itself_is_an_alarm(
    world: World, iam: People
) -> None:
    glass = iam.role(name="break-glass-e2e", sessions=["on-call"])
    before = iam.role_policies(glass.name)
    incident = world.settled(world.send(iam.about_session(glass, "on-call")))
    assert incident["status"] == "SKIPPED" and "exempt" in incident["reasons"][-1]
    assert iam.works(glass.sessions["on-call"]) and iam.role_policies(glass.name) == before
    own = iam.iam.get_role(RoleName=f"{PREFIX}-responder-iam-principal")["Role"]
    found = iam.finding(
        userType="AssumedRole",
        userName=own["RoleName"],
        principalId=f"{own['RoleId']}:inc-1-contain",
    )
    sent = world.send(found)
    incident = world.settled(sent)
    assert incident["status"] == "FAILED" and "the response itself" in incident["reasons"][-1]
    assert [message["event"] for message in world.messages(sent, "escalations")] == ["FAILED"]


@pytest.mark.skipif(bool(MANNERS), reason="CloudTrail tells at once, before IAM shows it")
def test_somebody_lifts_the_denial_and_is_answered(world: World, iam: People) -> None:
    user = iam.user()
    sent = world.send(iam.about(user))
    assert world.settled(sent)["status"] == "CONTAINED"
    world.clock(trail=1)
    hasty = iam.user(name=f"hasty-{user.name}")
    detach = hasty.keys[0].client(world.aws, "iam").detach_user_policy
    retry_on_conflict(partial(detach, UserName=user.name, PolicyArn=DENY_ALL))

    def again() -> Json | None:
        found = world.incident(sent)
        notified = events(found)
        return (
            found
            if "contained again" in notified
            and notified[-1] == "ended"
            and found["status"] == "CONTAINED"
            else None
        )

    incident = world.until(again, "the breach is answered")
    assert "AWSDenyAll" in iam.seen(user.name)["attached"]
    loss = incident["targets"][0]["breach"]
    assert any(
        hasty.name in actor["who"] and actor["what"] == "DetachUserPolicy" for actor in loss["by"]
    ), loss


def test_nobody_and_somebody_new(world: World, iam: People) -> None:
    """A user that is gone, and a new one of the same name: not the finding's."""
    gone = world.settled(
        world.send(
            iam.finding(
                userType="IAMUser", userName="never-was", principalId="AIDANEVERWAS00000000"
            )
        )
    )
    assert gone["status"] == "GONE"
    user = iam.user()
    found = iam.finding(
        STOLEN, userType="IAMUser", userName=user.name, principalId="AIDASOMEBODYELSE0000"
    )
    incident = world.settled(world.send(found))
    assert incident["status"] == "GONE" and "left alone" in incident["targets"][0]["verdict"]
    assert iam.works(user.keys[0])
