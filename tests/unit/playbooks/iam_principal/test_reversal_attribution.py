"""Only what the finding's credential did, or what it led to, is undone by itself; an owner's own
work is listed for people, each with the command that would undo it.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.playbooks.iam_principal.ownership import handed_out

from tests.unit.deployment import REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    KEY,
    THIEF,
    EradicationLab,
)

Json = dict[str, Any]
OFFICE, CI_KEY = "203.0.113.10", "AKIAOWNERSCI"
BEFORE, AFTER = "2025-12-31T10:00:00Z", "2026-01-01T10:30:00Z"
IPV6 = "2001:db8::7"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


def _launches(lab: EradicationLab, count: int = 1, **event: Any) -> list[str]:
    """Starts instances as the principal does; ``event``: what its event has."""
    made = lab.does(
        "ec2",
        "run_instances",
        also=event,
        ImageId="ami-12c6146b",
        MinCount=count,
        MaxCount=count,
    )
    return [instance["InstanceId"] for instance in made["Instances"]]


def _states(lab: EradicationLab, ids: list[str]) -> set[str]:
    found = lab.see("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    return {each["State"]["Name"] for group in found for each in group["Instances"]}


@pytest.mark.parametrize(
    ("event", "reverted"),
    [
        ({"key": KEY, "from": THIEF, "at": AFTER}, True),
        ({"key": KEY, "from": THIEF, "at": BEFORE}, True),
        ({"key": KEY, "from": OFFICE, "at": AFTER}, True),
        ({"key": KEY, "from": OFFICE, "at": "2026-01-01T10:00:00Z"}, True),
        ({"key": KEY, "from": OFFICE, "at": BEFORE}, False),
        ({"key": KEY, "from": OFFICE, "at": "no time"}, False),
        ({"key": CI_KEY, "from": THIEF, "at": AFTER}, False),
        ({"key": CI_KEY, "from": OFFICE, "at": BEFORE}, False),
        ({"key": CI_KEY, "from": OFFICE, "at": AFTER}, False),
        ({"key": "", "from": THIEF, "at": AFTER}, False),
    ],
)
def test_only_what_the_finding_is_about_is_undone(
    lab: EradicationLab, event: dict[str, Any], reverted: bool
) -> None:
    ids = _launches(lab, **event)
    lab.eradicate()
    assert _states(lab, ids) == {"stopped" if reverted else "running"}
    if reverted:
        assert lab.left == []
    else:
        [left] = lab.left
        assert "not undone: " in left
        assert f"aws ec2 stop-instances --instance-ids {ids[0]} --region {REGION}" in left
        assert lab.lines() == {}, "no line for what was not tried"


def test_a_days_deployment_of_the_owner_stays(lab: EradicationLab) -> None:
    """With another key, from another address, a day before; and the thief's own is undone."""
    group = lab.see("ec2").create_security_group(GroupName="web", Description="web")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    owner = {"key": CI_KEY, "from": OFFICE, "at": BEFORE}
    ours = _launches(lab, count=3, **owner)
    lab.does(
        "ec2",
        "authorize_security_group_ingress",
        also=owner,
        GroupId=group,
        IpPermissions=[{**rule, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    theirs = _launches(lab)
    lab.eradicate()
    assert (_states(lab, ours), _states(lab, theirs)) == ({"running"}, {"stopped"})
    found = lab.see("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert [each["FromPort"] for each in found["IpPermissions"]] == [443]
    assert lab.kept()["detail"] == "1 reverted, 2 left for people"
    left = " ".join(lab.left)
    assert all(id in left for id in ours), "each instance of the call"
    assert "aws ec2 revoke-security-group-ingress" in left
    assert group in left
    assert f"called with access key {CI_KEY}" in left


def _handed(key: str, by: str = KEY, at: str = AFTER, origin: str = THIEF) -> Json:
    return {"key": key, "by": by, "at": at, "origin": origin}


@pytest.mark.parametrize(
    ("chain", "reverted"),
    [
        ([_handed("ASIA1")], True),
        ([_handed("ASIA1", at=BEFORE)], True),
        ([_handed("ASIA1", origin=OFFICE)], True),
        ([_handed("ASIA1", at=BEFORE, origin=OFFICE)], False),
        ([_handed("ASIA1", by=CI_KEY)], False),
        ([_handed("ASIA1", by="ASIA0"), _handed("ASIA0")], True),
        ([_handed("ASIA1", by="ASIA0"), _handed("ASIA0", by=CI_KEY)], False),
        ([], False),
    ],
)
def test_what_its_sessions_did_is_undone_too(
    lab: EradicationLab, chain: list[Json], reverted: bool
) -> None:
    lab.handed_out = chain
    ids = _launches(lab, key="ASIA1", at="2026-01-01T11:00:00Z")
    lab.eradicate()
    assert _states(lab, ids) == {"stopped" if reverted else "running"}


def test_what_keys_did_that_it_created_is_undone_too_in_a_later_list(lab: EradicationLab) -> None:
    theirs = lab.does("iam", "create_access_key", UserName="alice")["AccessKey"]["AccessKeyId"]
    owners = {"key": CI_KEY, "from": OFFICE, "at": BEFORE}
    ours = lab.does(
        "iam",
        "create_access_key",
        also=owners,
        UserName="alice",
    )["AccessKey"]
    lab.eradicate(more=True)
    by_theirs = _launches(lab, key=theirs, at=AFTER)
    by_ours = _launches(lab, key=ours["AccessKeyId"], at=AFTER)
    lab.eradicate()
    assert (_states(lab, by_theirs), _states(lab, by_ours)) == ({"stopped"}, {"running"})
    keys = lab.see("iam").list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert {key["AccessKeyId"]: key["Status"] for key in keys} == {
        theirs: "Inactive",
        ours["AccessKeyId"]: "Active",
    }


@pytest.mark.parametrize(
    ("origin", "at", "reverted"),
    [(THIEF, BEFORE, True), (THIEF, AFTER, True), (OFFICE, AFTER, False)],
)
def test_a_finding_without_a_key_goes_by_its_address(
    lab: EradicationLab, origin: str, at: str, reverted: bool
) -> None:
    """Such as one about a console sign-in."""
    lab.finding_key = ""
    event: Json = {"key": "ASIACONSOLE", "from": origin, "at": at}
    ids = _launches(lab, **event)
    lab.eradicate()
    assert _states(lab, ids) == {"stopped" if reverted else "running"}


@pytest.mark.parametrize(
    ("service", "event", "reverted"),
    [
        ({"eventFirstSeen": None}, {"from": THIEF}, True),
        ({"eventFirstSeen": None}, {"from": OFFICE}, False),
        ({"eventFirstSeen": "soon"}, {"from": OFFICE}, False),
        ({"action": None}, {"from": THIEF, "at": BEFORE}, False),
        ({"action": None}, {"from": THIEF, "at": AFTER}, True),
        ({"action": None, "eventFirstSeen": None}, {"from": ""}, False),
        (
            {"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV6": IPV6}}}},
            {"from": "2001:0DB8:0:0::7", "at": BEFORE},
            True,
        ),
    ],
)
def test_a_finding_that_says_little(
    lab: EradicationLab, service: Json, event: dict[str, Any], reverted: bool
) -> None:
    lab.service = service
    ids = _launches(lab, **event)
    lab.eradicate()
    assert _states(lab, ids) == {"stopped" if reverted else "running"}


def test_the_collector_keeps_who_asked_for_a_key() -> None:
    """Also for GetSessionToken, whose key is the user's own in another form."""
    identity = {"type": "IAMUser", "userName": "alice", "accessKeyId": KEY}
    for name in ("GetSessionToken", "AssumeRole", "GetFederationToken", "AssumeRoot"):
        record: Any = {
            "eventSource": "sts.amazonaws.com",
            "eventName": name,
            "eventTime": AFTER,
            "sourceIPAddress": THIEF,
            "userIdentity": identity,
            "responseElements": {"credentials": {"accessKeyId": "ASIA1", "expiration": "later"}},
        }
        assert handed_out(record) == _handed("ASIA1")
        assert handed_out({**record, "errorCode": "AccessDenied", "responseElements": None}) is None
    assert handed_out({**record, "eventSource": "evil.example.com"}) is None
