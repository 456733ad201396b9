"""Denials leave a role once no session that they deny can live, with the permissions that the
deployed roles have.
"""

from __future__ import annotations

import time

from guardduty_response.containment.role_policies import OLDER

from sandbox.seed_iam import Role
from tests.e2e.credential_world import People
from tests.e2e.e2e_world import PREFIX, SECURITY, Json, World, actions, events

DENIED = {f"{PREFIX}-sessions": "denied"}


def _setting(world: World, role: Role, kind: str) -> list[Json]:
    """The raw items of the role's setting, of one kind: who denies sessions, or when it is due."""
    items = world.items(f"RESOURCE#{role.arn}#{OLDER}")
    return [item for item in items if item["sk"]["S"].split("#")[0] == kind]


def _denied_long_ago(world: World, role: Role, session: str) -> None:
    """Lets the record say that a session was denied thirteen hours ago, and the role be due."""
    hours = {"long ago": 13, "due": 1}
    dates = {
        name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600 * count))
        for name, count in hours.items()
    }
    [entry] = [
        item for item in _setting(world, role, "ENTRY") if item["arn"]["S"].endswith(f"/{session}")
    ]
    for denial in entry["value"]["M"]["denials"]["M"].values():
        denial["M"]["before"] = {"S": dates["long ago"]}
    [due] = _setting(world, role, "DUE")
    for item in (entry, {**due, "due_at": {"S": dates["due"]}}):
        world.client("dynamodb", SECURITY).put_item(
            TableName=world.outputs["table_name"], Item=item
        )


def _denied(iam: People, role: Role) -> list[str]:
    """The names of the sessions that the role's own policy denies."""
    policy = iam.role_policies(role.name).get(f"{PREFIX}-sessions", {"Statement": []})
    return [
        userid.removeprefix(f"{role.id}:")
        for statement in policy["Statement"]
        for userid in statement["Condition"]["StringEquals"]["aws:userid"]
    ]


def _tags(iam: People, role: Role) -> dict[str, str]:
    found = iam.iam.list_role_tags(RoleName=role.name)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found if tag["Key"] in DENIED}


def test_a_denial_leaves_with_its_session_and_the_tag_with_the_last(
    world: World, iam: People
) -> None:
    role = iam.role(sessions=["first", "second"])
    before, logged = iam.role_policies(role.name), f"sessions_expired {role.name}"
    sent = {name: world.send(iam.about_session(role, name)) for name in role.sessions}
    for each in sent.values():  # no later step holds the role's setting meanwhile
        assert world.settled(each)["status"] == "CONTAINED"
    assert sorted(_denied(iam, role)) == ["first", "second"]
    world.until(lambda: _tags(iam, role) == DENIED, "the role is tagged")

    _denied_long_ago(world, role, "first")
    with world.sweeping():
        world.until(lambda: logged in actions(world.incident(sent["first"])), "it is taken out")
    assert _denied(iam, role) == ["second"] and _tags(iam, role) == DENIED
    assert iam.works(role.sessions["first"]) and not iam.works(role.sessions["second"])
    seen = world.incident(sent["first"])
    assert actions(seen)[logged] == "DONE" and "denial taken out" in events(seen)
    assert seen["status"] == "CONTAINED"
    assert logged not in actions(world.incident(sent["second"]))
    [due] = _setting(world, role, "DUE")
    assert due["due_at"]["S"] > world.aws_now(), "it is looked at again once that may be over"

    _denied_long_ago(world, role, "second")
    with world.sweeping():
        world.until(lambda: "due_at" not in _setting(world, role, "DUE")[0], "nothing is left")
    assert iam.role_policies(role.name) == before and _tags(iam, role) == {}
    assert iam.works(role.sessions["second"])
    assert actions(world.incident(sent["second"]))[logged] == "DONE"
