"""A stolen credential is contained: proven by calling with it, and read back by clients that share nothing with the response."""

from __future__ import annotations

from typing import Any

import pytest
from credential_world import STOLEN, Keys, People
from e2e_world import MEMBER, PREFIX, Json, World, actions, events

from sandbox import people

EXFILTRATED = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"


@pytest.fixture
def iam(world: World) -> People:
    return People(world)


def _deny_of(policies: dict[str, Json]) -> Json:
    [name] = [one for one in policies if one.startswith(f"{PREFIX}-deny-")]
    [statement] = policies[name]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    return dict(statement["Condition"])


def test_a_user_with_two_keys_a_password_and_a_role_session(world: World, iam: People) -> None:
    user, role = iam.user(keys=2, console=True), iam.role()
    held, others = iam.session(role, "persisted", by=user.keys[1]), iam.session(role, "somebody-else")
    temporary = Keys.of(iam.client("sts", user.keys[0]).get_session_token()["Credentials"])
    before = iam.seen(user.name)
    assert all(iam.works(one) for one in (*user.keys, held, others, temporary))
    sent = world.send(iam.about(user))
    incident = world.settled(sent)
    assert (incident["status"], incident["playbook"]) == ("CONTAINED", "iam_principal"), incident
    [target] = incident["targets"]
    assert (target["kind"], target["id"], target["arn"]) == ("iam_user", user.name, user.arn)
    after = iam.seen(user.name)
    assert after["attached"] == [*before["attached"], "AWSDenyAll"]
    assert set(after["keys"].values()) == {"Inactive"} and len(after["keys"]) == 2
    assert not after["console"]
    assert after["tags"] == {PREFIX: "quarantined", f"{PREFIX}-incident": incident["incident_id"]}
    assert not any(iam.works(one) for one in (*user.keys, temporary))
    assert not iam.works(held), "the session it held of a role"
    assert iam.works(others), "everybody else's session of that role goes on"
    assert _deny_of(iam.role_policies(role))["StringEquals"]["aws:userid"] == [f"{role.id}:persisted"]
    assert world.told(sent)[:2] == ["started", "CONTAINED"]
    assert world.told(sent, "escalations") == []

    people.ask(world.known, incident)
    restored = world.incident(sent)
    assert restored["status"] == "RESTORE_PARTIAL", "a removed password does not come back"
    [left] = restored["targets"][0]["restored"]["not_restored"]
    assert "password" in left and "create-login-profile" in left
    assert iam.seen(user.name) == {**before, "console": False}
    assert list(iam.role_policies(role)) == ["all"]
    assert all(iam.works(one) for one in (*user.keys, held))


def test_read_back_once_more_after_it_has_spread(world: World, iam: People) -> None:
    incident = world.settled(world.send(iam.about(iam.user())))
    assert incident["status"] == "CONTAINED"
    assert "s after the last change" in incident["targets"][0]["verdict"]
    assert int(incident["targets"][0]["verdict"].split(" s after")[0].rsplit(" ", 1)[1]) >= 10


def test_the_policy_quota_is_full(world: World, iam: People) -> None:
    user = iam.user(policies=10)
    incident = world.settled(world.send(iam.about(user)))
    assert incident["status"] == "CONTAINED", incident
    seen = iam.seen(user.name)
    assert seen["boundary"] == "arn:aws:iam::aws:policy/AWSDenyAll" and "AWSDenyAll" not in seen["attached"]
    assert "permissions boundary" in next(one["detail"] for one in incident["targets"][0]["actions"] if one["name"] == "deny_all")
    assert not iam.works(user.keys[0])
    people.ask(world.known, incident)
    assert world.incident(incident["incident_id"])["status"] == "RESTORED"
    assert iam.seen(user.name)["boundary"] is None and iam.works(user.keys[0])


def test_one_session_of_a_role_alone(world: World, iam: People) -> None:
    role = iam.role()
    stolen, other = iam.session(role, "stolen"), iam.session(role, "other")
    incident = world.settled(world.send(iam.about_session(role, "stolen", stolen)))
    assert incident["status"] == "CONTAINED", incident
    assert (incident["targets"][0]["kind"], incident["targets"][0]["id"]) == ("role_session", f"{role.name}/stolen")
    assert not iam.works(stolen) and iam.works(other)
    condition = _deny_of(iam.role_policies(role))
    assert condition["StringEquals"] == {"aws:userid": [f"{role.id}:stolen"]} and set(condition["DateLessThan"]) == {
        "aws:TokenIssueTime"
    }
    people.ask(world.known, incident)
    assert world.incident(incident["incident_id"])["status"] == "RESTORED"
    assert iam.works(stolen) and list(iam.role_policies(role)) == ["all"]


def test_stolen_instance_credentials_end_and_the_instance_is_handed_over(world: World, iam: People) -> None:
    victim = world.victim(in_asg=False, target_group=False, elastic_ip=False)
    assert victim.role and victim.role_id
    found = iam.finding(EXFILTRATED, accessKeyId="ASIASTOLEN0000000000", userType="AssumedRole", userName=victim.role,
                        principalId=f"{victim.role_id}:{victim.instance}")  # fmt: skip
    sent = world.send(found)
    incident = world.settled(sent)
    assert incident["status"] == "CONTAINED", incident
    assert actions(incident)["hand_over_to_ec2_instance"] == "DONE"
    older = world.role_policies(victim)["AWSRevokeOlderSessions"]["Statement"][-1]
    assert older["Condition"]["DateLessThan"]["aws:TokenIssueTime"]

    def answered() -> Json | None:
        ours = [one for one in world.incidents.all() if any(t["id"] == victim.instance for t in one["targets"])]
        return ours[0] if ours and ours[0]["status"] == "CONTAINED" else None

    other = world.until(answered, "the instance is contained by an incident of its own", 60)
    assert other["incident_id"] != incident["incident_id"] and other["playbook"] == "ec2_instance"
    [group] = world.quarantine_groups(victim)
    assert all(groups == [group] for groups in world.look(victim).interfaces.values())


OUT_OF_REACH: dict[str, tuple[Json, str]] = {
    "root": ({"userType": "Root", "userName": "Root", "accessKeyId": "ASIAROOT000000000000"}, "create-policy"),
    "identity_center": ({"userType": "AssumedRole", "userName": "AWSReservedSSO_Admin_0123456789abcdef",
                         "principalId": "AROASSO0000000000000:alice@example.com"}, "put-inline-policy-to-permission-set"),
    "service_linked_role": ({"userType": "AssumedRole", "userName": "AWSServiceRoleForSupport",
                             "principalId": "AROASLR0000000000000:x"}, "delete-service-linked-role"),
    "federated_user": ({"userType": "FederatedUser", "principalId": f"{MEMBER}:bob", "userName": "bob",
                        "accessKeyId": "ASIAFEDERATED0000000"}, "attach-user-policy"),
    "foreign_principal": ({"userType": "AWSAccount", "userName": "333333333333"}, "333333333333"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OUT_OF_REACH)
def test_what_iam_cannot_contain_is_never_called_contained(world: World, iam: People, kind: str) -> None:
    details, command = OUT_OF_REACH[kind]
    sent = world.send(iam.finding(**details))
    incident = world.settled(sent)
    assert incident["status"] == "FAILED", incident
    [target] = incident["targets"]
    assert target["kind"] == kind
    by_hand = [one for one in target["actions"] if one["name"].startswith("by_hand_")]
    assert by_hand and any(command in one["detail"] for one in by_hand), by_hand
    [message] = [one for one in world.messages(sent, "escalations") if one["event"] == "FAILED"]
    assert all(one["detail"][:60] in message["text"] for one in by_hand), "the commands are in the message"


def test_exempt_principals_and_the_response_itself_are_left_alone(world: World, iam: People) -> None:
    glass = iam.role("break-glass-e2e")
    session = iam.session(glass, "on-call")
    incident = world.settled(world.send(iam.about_session(glass, "on-call", session)))
    assert incident["status"] == "SKIPPED" and "exempt" in incident["reasons"][-1]
    assert iam.works(session) and list(iam.role_policies(glass)) == ["all"]
    own = world.client("iam", MEMBER).get_role(RoleName=f"{PREFIX}-responder-iam-principal")["Role"]
    found = iam.finding(userType="AssumedRole", userName=own["RoleName"], principalId=f"{own['RoleId']}:inc-1-contain")
    incident = world.settled(world.send(found))
    assert incident["status"] == "SKIPPED" and "the response itself" in incident["reasons"][-1]


def test_somebody_lifts_the_denial_and_is_answered(world: World, iam: People) -> None:
    user = iam.user()
    sent = world.send(iam.about(user))
    assert world.settled(sent)["status"] == "CONTAINED"
    world.clock(trail=1)
    hasty = iam.user("hasty-administrator-" + user.name)
    iam.client("iam", hasty.keys[0]).detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")

    def again() -> Any:
        found = world.incident(sent)
        return (
            found
            if "contained again" in events(found) and events(found)[-1] == "ended" and found["status"] == "CONTAINED"
            else None
        )

    incident = world.until(again, "the breach is answered", 90)
    assert "AWSDenyAll" in iam.seen(user.name)["attached"]
    assert any(hasty.name in one["who"] for one in incident["targets"][0]["breach"]["by"]), incident["targets"][0]["breach"]


def test_nobody_and_somebody_new(world: World, iam: People) -> None:
    """A user that is gone, and a new one of the same name: not the finding's."""
    gone = world.settled(world.send(iam.finding(userType="IAMUser", userName="never-was", principalId="AIDANEVERWAS00000000")))
    assert gone["status"] == "GONE"
    user = iam.user()
    incident = world.settled(
        world.send(iam.finding(STOLEN, userType="IAMUser", userName=user.name, principalId="AIDASOMEBODYELSE0000"))
    )
    assert incident["status"] == "GONE" and "left alone" in incident["reasons"][-1]
    assert iam.works(user.keys[0])
