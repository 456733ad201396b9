"""Credentials of an instance: the session is denied here, and the instance becomes an incident
of playbook ec2_instance.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.decision import finding
from guardduty_response.errors import ResponseError
from guardduty_response.functions import incident, respond
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import regions
from moto.ec2.models import ec2_backends

from tests.support.repository import load_finding
from tests.unit.lambda_world import EXECUTIONS, OWN, OWN_ROLES, World, onlooker
from tests.unit.playbooks.iam_principal.iam_lab import HOME, PREFIX, REGION, THIRD, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.test_role_sessions import EXFILTRATION, INSTANCE, may

Json = dict[str, Any]
NAME = "unauthorizedaccess_iamuser_instancecredentialexfiltration_outsideaws"


def runs(region: str = REGION, instance: str = INSTANCE) -> None:
    """An instance of the member account, with that id."""
    [made] = onlooker("ec2", region).run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)[
        "Instances"
    ]
    ec2_backends[MEMBER][region].get_instance(made["InstanceId"]).id = instance


@pytest.fixture
def stolen(iam: IamLab) -> IamLab:
    """Its credentials were used where it runs."""
    iam.finding_type = EXFILTRATION
    runs()
    return iam.role(session=INSTANCE, trust={"Service": "ec2.amazonaws.com"})


def handed(iam: IamLab) -> Json:
    [(name, make)] = iam.planned().hand_over.items()
    assert name == "ec2_instance"
    return dict(json.loads(json.dumps(make())))


def test_the_instance_is_handed_over_as_a_finding_about_it(stolen: IamLab) -> None:
    seen, other = stolen.finding(), finding.parse(handed(stolen))
    assert finding.playbook_for(seen)[0] == "iam_principal"
    assert finding.playbook_for(other) == (
        "ec2_instance",
        "an EC2 instance is the actor or the infected host",
    )
    assert other.incident_id != seen.incident_id
    assert (other.account_id, other.region, other.type, other.severity) == (
        MEMBER,
        REGION,
        EXFILTRATION,
        8.0,
    )
    assert finding.get(other.detail, "resource", "instanceDetails", "instanceId") == INSTANCE
    assert INSTANCE in other.title


def test_it_is_the_same_incident_however_often(stolen: IamLab) -> None:
    first, second = handed(stolen), handed(stolen)
    stolen.ahead += 3600
    assert finding.parse(first).incident_id == finding.parse(second).incident_id


def test_two_instances_of_one_finding_are_two_incidents(stolen: IamLab) -> None:
    first = finding.parse(handed(stolen))
    runs(instance="i-0fedcba9876543210")
    stolen.details["principalId"] = f"{stolen.ids['roles']['app']}:i-0fedcba9876543210"
    assert finding.parse(handed(stolen)).incident_id != first.incident_id


def test_the_sessions_are_denied_all_the_same(stolen: IamLab) -> None:
    assert stolen.respond().status is Status.CONTAINED
    assert not may(stolen, INSTANCE, -60)


@pytest.mark.parametrize("session", ["carol", "i-12", "botocore-session-1"])
def test_no_other_session_is_handed_over(iam: IamLab, session: str) -> None:
    assert (
        iam.role(session=session, trust={"Service": "ec2.amazonaws.com"}).planned().hand_over == {}
    )


def test_what_the_finding_says_of_the_instance_goes_along(iam: IamLab) -> None:
    event = load_finding(NAME)
    details = event["detail"]["resource"]["accessKeyDetails"]
    iam.role(details["userName"], session=None, trust={"Service": "ec2.amazonaws.com"})
    _, _, instance = details["principalId"].partition(":")
    details["principalId"] = f"{iam.ids['roles'][details['userName']]}:{instance}"
    event["detail"]["resource"]["instanceDetails"] = {
        "instanceId": instance,
        "tags": [{"key": "team", "value": "web"}],
    }
    runs(event["detail"]["region"], instance)
    iam.ids["event"], kept = event, copy.deepcopy(event)
    detail = handed(iam)["detail"]
    assert detail["resource"]["instanceDetails"] == kept["detail"]["resource"]["instanceDetails"]
    assert iam.ids["event"] == kept, "the finding itself is left as it came"
    event["detail"]["resource"]["instanceDetails"]["instanceId"] = "i-0aaaaaaaaaaaaaaaa"
    assert handed(iam)["detail"]["resource"]["instanceDetails"] == {"instanceId": instance}, (
        "another one's are not taken"
    )


# -- where the instance is -------------------------------------------------------------------------


def asked(iam: IamLab) -> list[str]:
    """Regions in which EC2 was asked for the instance."""
    return [
        one.region
        for one in iam.calls
        if one.operation == "DescribeInstances" and "instance-id" in str(one.params)
    ]


@pytest.mark.parametrize("region", [HOME, THIRD])
def test_it_is_answered_where_it_runs_not_where_its_credentials_were_used(
    iam: IamLab, region: str
) -> None:
    iam.finding_type = EXFILTRATION
    runs(region)
    other = finding.parse(handed(iam.role(session=INSTANCE)))
    assert iam.finding().region == REGION and other.region == region
    assert asked(iam)[0] == REGION, "the likeliest first"
    assert iam.respond().status is Status.CONTAINED


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("eu-west-3b", "eu-west-3"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-gov-west-1a", "us-gov-west-1"),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
    ],
)
def test_the_finding_may_say_it(iam: IamLab, zone: str, region: str) -> None:
    iam.role(session=INSTANCE)
    event = {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": copy.deepcopy(iam.finding().detail),
    }
    event["detail"]["resource"]["instanceDetails"] = {
        "instanceId": INSTANCE,
        "availabilityZone": zone,
    }
    iam.ids["event"] = event
    assert finding.parse(handed(iam)).region == region and asked(iam) == []
    event["detail"]["resource"]["instanceDetails"]["instanceId"] = "i-0aaaaaaaaaaaaaaaa"
    runs()
    assert finding.parse(handed(iam)).region == REGION, "another one's zone is not taken"


def test_nowhere_is_said_and_opens_no_incident(iam: IamLab) -> None:
    iam.role(session=INSTANCE)
    with pytest.raises(
        ResponseError,
        match=r"in none of the 3 Regions that answered \(terminated over an hour ago, or not",
    ):
        handed(iam)


@pytest.mark.parametrize("found", [False, True])
def test_a_region_that_cannot_be_read_is_named_unless_another_has_it(
    iam: IamLab, found: bool
) -> None:
    iam.fail("DescribeInstances", "UnauthorizedOperation", lambda asked: asked["region"] == THIRD)
    iam.fail("DescribeInstances", "RequestLimitExceeded", lambda asked: asked["region"] == REGION)
    iam.role(session=INSTANCE)
    if found:
        runs(HOME)
        assert finding.parse(handed(iam)).region == HOME
        return
    said = (
        rf"none of the 1 Regions that answered \(not asked: {REGION} \(RequestLimitExceeded.*not"
        rf" asked: {THIRD} \(Unauth"
    )
    with pytest.raises(ResponseError, match=said):
        handed(iam)


def test_a_region_that_does_not_answer_is_not_waited_for(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows, ended = regions._knows, threading.Event()

    def slow(session: Any, region: str, instance: str) -> bool:
        return bool(ended.wait(20)) if region == THIRD else knows(session, region, instance)

    monkeypatch.setattr(regions, "_knows", slow)
    monkeypatch.setattr(regions, "SECONDS", 0.5)
    with pytest.raises(ResponseError, match=rf"not asked: {THIRD} \(no answer in 0.5 s\)"):
        handed(iam.role(session=INSTANCE))
    ended.set()


def test_where_regions_cannot_be_listed_it_is_said(iam: IamLab) -> None:
    iam.fail("ListRegions", "AccessDeniedException")
    with pytest.raises(ResponseError, match="the enabled Regions could not be listed"):
        handed(iam.role(session=INSTANCE))


@pytest.mark.parametrize(
    ("active", "status"),
    [(["iam_principal", "ec2_instance"], Status.PARTIAL), ([], Status.CONTAINED)],
)
def test_an_instance_that_nobody_found_is_escalated(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch, active: list[str], status: Status
) -> None:
    """PARTIAL wakes people. Where no switch lets the other playbook act, they chose so."""
    context = iam.context
    monkeypatch.setattr(iam, "context", lambda *a, **k: replaced(context(*a, **k), active))
    target = iam.role(session=INSTANCE).plan()
    text = "instance i-1 is in none of the Regions"
    iam.context().log_action(target, "hand_over_to_ec2_instance", "FAILED", text)
    step = iam.respond(target)
    assert step.status is status and (text in step.detail) is (status is Status.PARTIAL)
    assert not may(iam, INSTANCE, -60)


def replaced(context: Any, active: list[str]) -> Any:
    return dataclasses.replace(
        context, config=dataclasses.replace(context.config, active_playbooks=active)
    )


# -- through the playbook function -----------------------------------------------------------------


@pytest.fixture
def opened(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """An incident of a finding, as the machine opens it; ``active``: the playbooks switched on."""

    def make(
        event: Json, active: tuple[str, ...] = ("iam_principal", "ec2_instance"), **changes: Any
    ) -> str:
        world.configure(
            {"remediations": {"*": "auto"}, "active_playbooks": list(active), **changes}
        )
        monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
        monkeypatch.setenv("GDR_RESPONDER_ROLE", "guardduty-response-responder-iam-principal")
        got = incident.handler(
            {"verb": "open", "event": event, "execution": f"{EXECUTIONS}incident:one"}, None
        )
        return str(got["incident_id"])

    return make


def planned(incident_id: str) -> Json:
    event = {
        "verb": "plan",
        "incident_id": incident_id,
        "execution": f"{EXECUTIONS}incident:one",
        "verify_only": False,
    }
    return dict(respond.handler(event, None))


def stolen_event(world: World) -> Json:
    """About a role that there is in the member account."""
    event = load_finding(NAME)
    details = event["detail"]["resource"]["accessKeyDetails"]
    made = onlooker("iam").create_role(RoleName=details["userName"], AssumeRolePolicyDocument="{}")[
        "Role"
    ]
    instance = details["principalId"].partition(":")[2]
    details["principalId"] = f"{made['RoleId']}:{instance}"
    runs(event["detail"]["region"], instance)
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
    again = incident.handler(
        {"verb": "open", "event": stored, "execution": f"{EXECUTIONS}incident:two"}, None
    )
    assert again["incident_id"] != incident_id


def test_where_no_instance_may_be_answered_it_is_said(
    world: World, opened: Callable[..., str]
) -> None:
    incident_id = opened(stolen_event(world), active=("iam_principal",))
    assert planned(incident_id)["hand_over"] == []
    [target] = world.targets(incident_id)
    line = target["actions"]["hand_over_to_ec2_instance"]
    assert (
        line["status"] == "FAILED" and "no switch lets playbook ec2_instance act" in line["detail"]
    )


# -- who is never contained ------------------------------------------------------------------------


def about(world: World, name: str, kind: str = "user", path: str = "/") -> Json:
    """A finding about a user or a role's session of that name."""
    event = load_finding("unauthorizedaccess_iamuser_unusualasncaller")
    details = event["detail"]["resource"]["accessKeyDetails"]
    iam = onlooker("iam")
    if kind == "user":
        made = iam.create_user(UserName=name, Path=path)["User"]
        details |= {"userName": name, "principalId": "", "userType": "IAMUser"}
    else:
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Path=path)["Role"]
        details |= {
            "userName": name,
            "principalId": f"{made['RoleId']}:session",
            "userType": "AssumedRole",
        }
    return event


@pytest.mark.parametrize(
    ("name", "kind", "exempt", "said"),
    [
        (
            "break-glass",
            "user",
            ["arn:aws:iam::*:user/break-glass"],
            "arn:aws:iam::*:user/break-glass",
        ),
        ("break-glass", "user", [f"arn:aws:iam::{MEMBER}:user/*"], f"arn:aws:iam::{MEMBER}:user/*"),
        ("terraform", "role", ["arn:aws:iam::*:role/terraform"], "arn:aws:iam::*:role/terraform"),
        (
            "terraform",
            "role",
            ["arn:aws:sts::*:assumed-role/terraform/*"],
            "arn:aws:sts::*:assumed-role/terraform/*",
        ),
    ],
)
def test_exempt_principals_are_left(
    world: World, opened: Callable[..., str], name: str, kind: str, exempt: list[str], said: str
) -> None:
    incident_id = opened(about(world, name, kind), **{"guardrails.exempt_principals": exempt})
    assert planned(incident_id)["decision"] == "skip"
    assert any(said in one for one in world.meta(incident_id)["reasons"])
    iam = onlooker("iam")
    if kind == "user":
        assert iam.list_attached_user_policies(UserName=name)["AttachedPolicies"] == []
    else:
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    [target] = world.targets(incident_id)
    assert target["before"] == {}


@pytest.mark.parametrize("name", OWN_ROLES)
def test_a_role_of_the_response_itself_is_an_alarm(
    world: World, opened: Callable[..., str], name: str
) -> None:
    """Its credentials may be stolen: nothing of it can be changed, and people are woken."""
    incident_id = opened(about(world, name, "role"))
    answer = planned(incident_id)
    assert (answer["decision"], answer["targets"]) == (
        "failed",
        [],
    ) and "is a role of the response itself" in answer["error"]
    assert onlooker("iam").list_role_policies(RoleName=name)["PolicyNames"] == []
    world.messages("escalations")
    incident.handler(
        {
            "verb": "close",
            "incident_id": incident_id,
            "execution": f"{EXECUTIONS}incident:one",
            "decision": "failed",
            "error": answer["error"],
        },
        None,
    )
    assert world.meta(incident_id)["status"] == "FAILED"
    [told] = world.messages("escalations")
    assert (
        "NOT contained. A person must act now" in told["Message"]
        and "revoke the role's active sessions" in told["Message"]
    )
    [target] = world.targets(incident_id)
    assert (target["status"], target["before"]) == ("FAILED", {})


def test_who_exempts_a_role_of_the_response_hears_no_alarm(
    world: World, opened: Callable[..., str]
) -> None:
    name = OWN_ROLES[0]
    exempt = [f"arn:aws:iam::*:role/{name}"]
    assert (
        planned(opened(about(world, name, "role"), **{"guardrails.exempt_principals": exempt}))[
            "decision"
        ]
        == "skip"
    )


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        *(
            (f"{PREFIX}-{name}", "role", "/")
            for name in (
                "responder-mallory",
                "terminator-iam-principal",
                "remediator-ec2-instance",
                "restorer-ec2-instance",
                "identity-center-responder",
                "playbook-iam-principal",
            )
        ),
        (f"{PREFIX}-responder-iam-principal", "role", "/mine/"),
        (f"{PREFIX}-responder-iam-principal", "user", "/"),
    ],
)
def test_a_name_that_only_looks_like_ours_spares_nobody(
    world: World, opened: Callable[..., str], name: str, kind: str, path: str
) -> None:
    """Anybody may give a principal of theirs our prefix, or a name that no role has: here the
    restorer is switched off.
    """
    used = [one for one in OWN if "-restorer-" not in one]
    assert (
        planned(opened(about(world, name, kind, path), **{"responder.own_roles": used}))["decision"]
        == "act"
    )


def test_the_exempt_role_of_a_session_with_a_path(world: World, opened: Callable[..., str]) -> None:
    event = about(world, "terraform", "role", "/ci/")
    incident_id = opened(event, **{"guardrails.exempt_principals": ["arn:aws:iam::*:role/ci/*"]})
    assert planned(incident_id)["decision"] == "skip"
