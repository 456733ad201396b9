"""Principals that IAM cannot contain: said honestly, never CONTAINED, with what a person runs."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import botocore.session
import pytest
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook
from moto.iam.models import iam_backends

from tests.support.policy_oracle import decide
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.test_role_sessions import may, moment

Json = dict[str, Any]
OTHER, SSO = "999999999999", "AWSReservedSSO_PowerUser_0123456789abcdef"


def of(
    name: str = "",
    kind: str = "AssumedRole",
    principal: str = "",
    key: str = "ASIAFINDING000000001",
) -> Json:
    return {"accessKeyId": key, "principalId": principal, "userType": kind, "userName": name}


CASES: list[tuple[str, Json, str, str]] = [
    (
        "root",
        of("Root", "Root", MEMBER),
        f"arn:aws:iam::{MEMBER}:root",
        f"the root user of account {MEMBER} was used",
    ),
    (
        "identity_center",
        of(SSO, principal="AROASSO0000000000001:carol@example.com"),
        f"arn:aws:sts::{MEMBER}:assumed-role/{SSO}/carol@example.com",
        "carol@example.com signed in through IAM Identity Center (permission set PowerUser)",
    ),
    (
        "service_linked_role",
        of("AWSServiceRoleForSupport", principal="AROASLR0000000000001:s"),
        f"arn:aws:sts::{MEMBER}:assumed-role/AWSServiceRoleForSupport/s",
        "is a service-linked role",
    ),
    (
        "federated_user",
        of("carol", "FederatedUser", f"{MEMBER}:carol"),
        f"arn:aws:sts::{MEMBER}:federated-user/carol",
        "CloudTrail does not show yet by which IAM user",
    ),
    (
        "foreign_principal",
        of(OTHER, "AWSAccount", "AIDAFOREIGN000000001"),
        f"arn:aws:iam::{MEMBER}:foreign_principal/{OTHER}",
        f"the caller belongs to {OTHER}, not to account {MEMBER}",
    ),
    (
        "unknown_principal",
        of("x", "Unknown"),
        f"arn:aws:iam::{MEMBER}:unknown_principal/x",
        "does not say whose credential",
    ),
]


PATHS = {
    "identity_center": "/aws-reserved/sso.amazonaws.com/eu-central-1/",
    "service_linked_role": "/aws-service-role/s3.amazonaws.com/",
}


def there(iam: IamLab, details: Json) -> Json:
    """The finding's details, of a role that IAM knows where they are a role's of AWS."""
    kind = next((kind for kind, known, _, _ in CASES if known == details), "")
    if kind not in PATHS:
        return details
    iam.role(details["userName"], session=None, path=PATHS[kind])
    return {
        **details,
        "principalId": (
            f"{iam.ids['roles'][details['userName']]}:{details['principalId'].partition(':')[2]}"
        ),
    }


@pytest.mark.parametrize(("kind", "details", "arn", "why"), CASES, ids=[one[0] for one in CASES])
def test_it_is_said_and_failed_with_the_commands(
    iam: IamLab, kind: str, details: Json, arn: str, why: str
) -> None:
    iam.details = there(iam, details)
    target = iam.plan()
    assert (target.kind, target.arn) == (kind, arn)
    planned = iam.ids["planned"]
    assert why in planned.consequences and planned.principals[0] == arn
    assert list(planned.actions) == [
        f"by_hand_{number}" for number in range(1, len(planned.actions) + 1)
    ]
    iam.calls.clear()
    step = iam.respond(target)
    assert (
        step.status is Status.FAILED
        and step.detail.startswith("NOT contained: ")
        and why in step.detail
    )
    assert {call.service for call in iam.calls} <= {"dynamodb"}, "nothing is changed"
    assert (
        set(iam.actions().values()) == {"FAILED"}
        and len(iam.actions()) == len(planned.actions) >= 2
    )
    assert [one.fatal for one in iam.checks.values()] == [True]
    assert playbook.finish(iam.context(), target).done
    assert not playbook.find_actors(iam.context(), target, [], "", None, [])


def commands(iam: IamLab, details: Json) -> list[str]:
    iam.details = there(iam, details)
    return list(iam.planned().actions.values())


@pytest.mark.parametrize("details", [one[1] for one in CASES], ids=[one[0] for one in CASES])
def test_every_command_is_one_that_aws_has(iam: IamLab, details: Json) -> None:
    """Service, operation and parameters, by botocore's models; placeholders are in capitals."""
    session = botocore.session.get_session()
    found = [
        re.sub(r"\s\((?!.*').*$", "", one.removeprefix(one[: one.find("aws ")]))
        for one in commands(iam, details)
        if "aws " in one
    ]
    assert found
    for line in found:
        _, service, operation, *rest = shlex.split(line)
        model = session.get_service_model(service)
        shapes = {
            xform(name): model.operation_model(name).input_shape for name in model.operation_names
        }
        assert operation in shapes, line
        given = {one.removeprefix("--") for one in rest if one.startswith("--")} - {"region"}
        members = {xform(name): shape for name, shape in shapes[operation].members.items()}
        assert given <= members.keys(), line
        required = {xform(name) for name in shapes[operation].required_members}
        assert required <= given, line


def xform(name: str) -> str:
    return str(botocore.xform_name(name, "-"))


def document(lines: list[str], after: str) -> Json:
    [line] = [one for one in lines if f" {after} '" in one]
    return dict(json.loads(line.split(f"{after} '")[1].split("'")[0]))


ALL: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def test_roots_service_control_policy_denies_root_alone(iam: IamLab) -> None:
    scp = document(commands(iam, of("Root", "Root", MEMBER)), "--content")
    asked = ("s3:GetObject", "arn:aws:s3:::b/k")
    for principal, decision in (
        (f"arn:aws:iam::{MEMBER}:root", "Deny"),
        (f"arn:aws:iam::{MEMBER}:user/alice", "Allow"),
    ):
        assert decide([ALL, scp], *asked, principal, aws__PrincipalArn=principal) == decision


def test_identity_centers_policy_denies_that_persons_older_sessions(iam: IamLab) -> None:
    lines = commands(iam, of(SSO, principal="AROASSO0000000000001:carol@example.com"))
    for after in ("--inline-policy", "--content"):
        policy = document(lines, after)
        for who, issued, decision in (
            ("carol@example.com", -60, "Deny"),
            ("carol@example.com", 60, "Allow"),
            ("dave@example.com", -60, "Allow"),
        ):
            keys = {
                "aws__userid": f"{iam.ids['roles'][SSO]}:{who}",
                "aws__TokenIssueTime": moment(issued),
            }
            assert decide([ALL, policy], "s3:GetObject", "arn:aws:s3:::b/k", **keys) == decision


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/aws-service-role/support.amazonaws.com/", "service_linked_role"),
        ("/aws-reserved/sso.amazonaws.com/eu-central-1/", "identity_center"),
    ],
)
def test_iam_tells_what_a_name_does_not(iam: IamLab, path: str, kind: str) -> None:
    iam.role("odd", session="carol", path=path)
    target = iam.plan()
    assert target.kind == kind
    assert iam.respond(target).status is Status.FAILED
    assert iam.role_policies("odd") == {} and iam_backends[MEMBER]["aws"].roles


@pytest.mark.parametrize("name", [SSO, "AWSServiceRoleForSupport"])
def test_a_name_that_anybody_may_give_is_no_way_out(iam: IamLab, name: str) -> None:
    iam.role(name, session="soc-lead@example.com")
    target = iam.plan()
    assert target.kind == "role_session"
    assert iam.respond(target).status is Status.CONTAINED
    assert not may(iam, "soc-lead@example.com", -60, name)


def test_another_role_of_a_deleted_ones_name_is_none_of_awss(iam: IamLab) -> None:
    """IAM's unique id is asked before the path."""
    iam.role(SSO, session="carol", path=PATHS["identity_center"])
    iam.details["principalId"] = "AROADELETED000000001:carol"
    with pytest.raises(TargetGone, match="a new role of the same name"):
        iam.plan()
