"""Sessions that a session got whose keys no event issued, as the console and CloudShell have them:
the session is followed by its name, and taken for nobody else's of that name.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.cloudtrail import regions, session_search
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.iam_principal.cloudtrail_identities import session as identity
from tests.unit.playbooks.iam_principal.iam_account import THIRD
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME
from tests.unit.playbooks.iam_principal.test_chained_sessions import alice, denied, role_session


@pytest.fixture
def world(iam: IamLab) -> IamLab:
    iam.user()
    for name in ("admin", "batch", "deploy"):
        iam.role(name, session=None)
    return iam


def queries(world: IamLab) -> list[tuple[str, str, str]]:
    """The Region, attribute and value of what CloudTrail was asked."""
    asked = [call for call in world.calls if call.operation == "LookupEvents"]
    pairs = [(call.region, call.params["LookupAttributes"][0]) for call in asked]
    return [(region, pair["AttributeKey"], pair["AttributeValue"]) for region, pair in pairs]


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_what_a_session_got_in_the_console_is_found(world: IamLab, name: str) -> None:
    """The console and CloudShell sign with keys that no AssumeRole event issued."""
    first = world.add_assume_role(
        alice(world),
        "admin",
        name,
        "ASIAISSUED",
        ago=600,
    )
    second = world.add_assume_role(
        role_session(world, "admin", name, "ASIACONSOLE"), "batch", "chained", "ASIA2", ago=500
    )
    third = world.add_assume_role(
        role_session(
            world,
            "batch",
            "chained",
            "ASIACONSOLE2",
        ),
        "deploy",
        "further",
        "ASIA3",
        region=THIRD,
        ago=400,
    )
    assert world.respond().status is Status.CONTAINED
    assert denied(world) == {"admin": [first], "batch": [second], "deploy": [third]}
    asked = queries(world)
    assert len(asked) == len(set(asked)), "nothing is asked twice"


@pytest.mark.parametrize("whose", ["another role's", "a former role's", "got before"])
def test_a_session_of_the_same_name_is_not_taken_for_it(world: IamLab, whose: str) -> None:
    early = world.add_assume_role(
        alice(world),
        "admin",
        "alice-1",
        "ASIA0",
        ago=1800,
    )
    first = world.add_assume_role(
        alice(world),
        "admin",
        "terraform",
        "ASIA1",
        ago=600,
    )
    caller = {
        "another role's": role_session(world, "batch", "terraform", "ASIA8"),
        "a former role's": identity(
            "terraform",
            "admin",
            "AROAFORMER0000000001",
            "ASIA8",
        ),
        "got before": role_session(world, "admin", "terraform", "ASIA8"),
    }[whose]
    ago = 1200 if whose == "got before" else 500
    world.add_assume_role(
        caller,
        "deploy",
        "not-hers",
        "ASIA9",
        ago=ago,
    )
    assert world.respond().status is Status.CONTAINED
    assert denied(world) == {"admin": [early, first]}


def test_a_name_that_many_others_have_hides_nothing(
    world: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lookup is cut off: that is said, and the session is followed by its key."""
    real = regions.look_up

    def cut(*arguments: Any) -> Any:
        session, names, pairs, *more = arguments
        busy = ("Username", "botocore-session") in pairs
        records, troubles = real(session, names, [] if busy else pairs, *more)
        return records, {HOME: "not answered to its end within 15 s"} if busy else troubles

    first = world.add_assume_role(
        alice(world),
        "admin",
        "botocore-session",
        "ASIA1",
        ago=600,
    )
    second = world.add_assume_role(
        role_session(
            world,
            "admin",
            "botocore-session",
            "ASIA1",
        ),
        "batch",
        "x",
        "ASIA2",
        ago=500,
    )
    monkeypatch.setattr(
        regions,
        "look_up",
        cut,
    )
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert f"{HOME} not looked at (not answered to its end within 15 s)" in result.detail
    assert denied(world) == {"admin": [first], "batch": [second]}


def test_what_many_sessions_got_in_the_console_is_found_too(world: IamLab) -> None:
    for number in range(session_search.QUERIES + 5):
        world.add_assume_role(alice(world), "admin", f"s{number}", f"ASIA{number}", ago=900)
    found = world.add_assume_role(
        role_session(world, "admin", "s3", "ASIACONSOLE"), "batch", "chained", "ASIAX", ago=800
    )
    assert world.respond().status is Status.CONTAINED
    assert denied(world)["batch"] == [found]
