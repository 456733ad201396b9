"""Credentials of an instance: the session is denied here, and the instance becomes an incident of playbook ec2_instance."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from guardduty_response import finding
from guardduty_response.handlers import incident, playbook
from guardduty_response.statuses import Status
from iam_lab import REGION, IamLab
from iam_moto import MEMBER
from lambda_world import EXECUTIONS, World
from repository import load_finding
from test_role_sessions import EXFILTRATION, INSTANCE, may

Json = dict[str, Any]
NAME = "unauthorizedaccess_iamuser_instancecredentialexfiltration_outsideaws"


@pytest.fixture
def stolen(iam: IamLab) -> IamLab:
    iam.finding_type = EXFILTRATION
    return iam.role(session=INSTANCE, trust={"Service": "ec2.amazonaws.com"})


def handed(iam: IamLab) -> Json:
    [event] = iam.planned().hand_over
    return dict(json.loads(json.dumps(event)))


def test_the_instance_is_handed_over_as_a_finding_about_it(stolen: IamLab) -> None:
    seen, other = stolen.finding(), finding.parse(handed(stolen))
    assert finding.playbook_for(seen)[0] == "iam_principal"
    assert finding.playbook_for(other) == ("ec2_instance", "an EC2 instance is the actor or the infected host")
    assert other.incident_id != seen.incident_id
    assert (other.account_id, other.region, other.type, other.severity) == (MEMBER, REGION, EXFILTRATION, 8.0)
    assert finding.get(other.detail, "resource", "instanceDetails", "instanceId") == INSTANCE
    assert INSTANCE in other.title


def test_it_is_the_same_incident_however_often(stolen: IamLab) -> None:
    first, second = handed(stolen), handed(stolen)
    stolen.ahead += 3600
    assert finding.parse(first).incident_id == finding.parse(second).incident_id


def test_two_instances_of_one_finding_are_two_incidents(stolen: IamLab) -> None:
    first = finding.parse(handed(stolen))
    stolen.details["principalId"] = f"{stolen.ids['roles']['app']}:i-0fedcba9876543210"
    assert finding.parse(handed(stolen)).incident_id != first.incident_id


def test_the_sessions_are_denied_all_the_same(stolen: IamLab) -> None:
    assert stolen.respond().status is Status.CONTAINED
    assert not may(stolen, INSTANCE, -60)


@pytest.mark.parametrize("session", ["carol", "i-12", "botocore-session-1"])
def test_no_other_session_is_handed_over(iam: IamLab, session: str) -> None:
    assert iam.role(session=session, trust={"Service": "ec2.amazonaws.com"}).planned().hand_over == []


def test_what_the_finding_says_of_the_instance_goes_along(iam: IamLab) -> None:
    event = load_finding(NAME)
    details = event["detail"]["resource"]["accessKeyDetails"]
    iam.role(details["userName"], session=None, trust={"Service": "ec2.amazonaws.com"})
    _, _, instance = details["principalId"].partition(":")
    details["principalId"] = f"{iam.ids['roles'][details['userName']]}:{instance}"
    event["detail"]["resource"]["instanceDetails"] = {"instanceId": instance, "tags": [{"key": "team", "value": "web"}]}
    iam.ids["event"], kept = event, copy.deepcopy(event)
    detail = handed(iam)["detail"]
    assert detail["resource"]["instanceDetails"] == kept["detail"]["resource"]["instanceDetails"]
    assert iam.ids["event"] == kept, "the finding itself is left as it came"
    event["detail"]["resource"]["instanceDetails"]["instanceId"] = "i-0aaaaaaaaaaaaaaaa"
    assert handed(iam)["detail"]["resource"]["instanceDetails"] == {"instanceId": instance}, "another one's are not taken"


# -- through the playbook function ------------------------------------------------------------------------------------


@pytest.fixture
def opened(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """An incident of a finding, as the machine opens it; ``active``: the playbooks switched on."""

    def make(event: Json, active: tuple[str, ...] = ("iam_principal", "ec2_instance"), **changes: Any) -> str:
        world.configure({"remediations": {"*": "auto"}, "active_playbooks": list(active), **changes})
        monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
        monkeypatch.setenv("GDR_RESPONDER_ROLE", "guardduty-response-responder-iam-principal")
        got = incident.handler({"verb": "open", "event": event, "execution": f"{EXECUTIONS}incident:one"}, None)
        return str(got["incident_id"])

    return make


def planned(incident_id: str) -> Json:
    event = {"verb": "plan", "incident_id": incident_id, "execution": f"{EXECUTIONS}incident:one", "verify_only": False}
    return dict(playbook.handler(event, None))


def member(world: World) -> Any:
    keys = boto3.client("sts", region_name=REGION).assume_role(
        RoleArn=f"arn:aws:iam::{MEMBER}:role/onlooker", RoleSessionName="onlooker"
    )["Credentials"]
    return boto3.client(
        "iam", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )  # fmt: skip


def stolen_event(world: World) -> Json:
    """About a role that there is in the member account."""
    event = load_finding(NAME)
    details = event["detail"]["resource"]["accessKeyDetails"]
    made = member(world).create_role(RoleName=details["userName"], AssumeRolePolicyDocument="{}")["Role"]
    details["principalId"] = f"{made['RoleId']}:{details['principalId'].partition(':')[2]}"
    return event


def test_the_machine_gets_the_stored_event(world: World, opened: Callable[..., str]) -> None:
    event = stolen_event(world)
    incident_id = opened(event)
    answer = planned(incident_id)
    assert answer["decision"] == "act"
    [other] = answer["hand_over"]
    stored = json.loads(world.evidence(incident_id)[other["finding_key"].split("/")[-1]])
    assert finding.playbook_for(finding.parse(stored))[0] == "ec2_instance"
    instance = event["detail"]["resource"]["accessKeyDetails"]["principalId"].partition(":")[2]
    assert stored["detail"]["resource"]["instanceDetails"]["instanceId"] == instance
    [target] = world.targets(incident_id)
    assert target["actions"]["hand_over_to_ec2_instance"]["status"] == "DONE"
    again = incident.handler({"verb": "open", "event": stored, "execution": f"{EXECUTIONS}incident:two"}, None)
    assert again["incident_id"] != incident_id


def test_where_no_instance_may_be_answered_it_is_said(world: World, opened: Callable[..., str]) -> None:
    incident_id = opened(stolen_event(world), active=("iam_principal",))
    assert planned(incident_id)["hand_over"] == []
    [target] = world.targets(incident_id)
    line = target["actions"]["hand_over_to_ec2_instance"]
    assert line["status"] == "FAILED" and "no switch lets playbook ec2_instance act" in line["detail"]


# -- who is never contained -------------------------------------------------------------------------------------------


def about(world: World, name: str, kind: str = "user", path: str = "/") -> Json:
    """A finding about a user or a role's session of that name."""
    event = load_finding("unauthorizedaccess_iamuser_unusualasncaller")
    details = event["detail"]["resource"]["accessKeyDetails"]
    iam = member(world)
    if kind == "user":
        made = iam.create_user(UserName=name, Path=path)["User"]
        details |= {"userName": name, "principalId": "", "userType": "IAMUser"}
    else:
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Path=path)["Role"]
        details |= {"userName": name, "principalId": f"{made['RoleId']}:session", "userType": "AssumedRole"}
    return event


@pytest.mark.parametrize(("name", "kind", "exempt", "said"), [
    *((f"guardduty-response-{one}-{name}", "role", [], "is a role of the response itself")
      for one in ("responder", "collector", "restorer") for name in ("iam-principal", "ec2-instance")),
    ("break-glass", "user", ["arn:aws:iam::*:user/break-glass"], "arn:aws:iam::*:user/break-glass"),
    ("break-glass", "user", [f"arn:aws:iam::{MEMBER}:user/*"], f"arn:aws:iam::{MEMBER}:user/*"),
    ("terraform", "role", ["arn:aws:iam::*:role/terraform"], "arn:aws:iam::*:role/terraform"),
    ("terraform", "role", ["arn:aws:sts::*:assumed-role/terraform/*"], "arn:aws:sts::*:assumed-role/terraform/*"),
])  # fmt: skip
def test_own_and_exempt_principals_are_left(
    world: World, opened: Callable[..., str], name: str, kind: str, exempt: list[str], said: str
) -> None:
    incident_id = opened(about(world, name, kind), **{"guardrails.exempt_principals": exempt})
    assert planned(incident_id)["decision"] == "skip"
    assert any(said in one for one in world.meta(incident_id)["reasons"])
    iam = member(world)
    if kind == "user":
        assert iam.list_attached_user_policies(UserName=name)["AttachedPolicies"] == []
    else:
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    [target] = world.targets(incident_id)
    assert target["before"] == {}


@pytest.mark.parametrize(("name", "kind"), [
    ("guardduty-response-responder-mallory", "role"), ("guardduty-response-responder-iam-principal", "user"),
])  # fmt: skip
def test_a_name_that_only_looks_like_ours_spares_nobody(world: World, opened: Callable[..., str], name: str, kind: str) -> None:
    """Anybody may give a principal of theirs our prefix."""
    assert planned(opened(about(world, name, kind)))["decision"] == "act"


def test_the_exempt_role_of_a_session_with_a_path(world: World, opened: Callable[..., str]) -> None:
    event = about(world, "terraform", "role", "/ci/")
    incident_id = opened(event, **{"guardrails.exempt_principals": ["arn:aws:iam::*:role/ci/*"]})
    assert planned(incident_id)["decision"] == "skip"
