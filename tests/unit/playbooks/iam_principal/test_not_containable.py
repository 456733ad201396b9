"""Principals that IAM cannot contain: said honestly, never CONTAINED, with what a person runs."""

from __future__ import annotations

import json
import re
import shlex

import botocore.session
import pytest
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook
from moto.iam.models import iam_backends

from tests.support.policy_oracle import decide
from tests.unit.playbooks.iam_principal.iam_account import AccessKeyDetails
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.session_judge import ALLOW_EVERYTHING, is_allowed, moment

OTHER, SSO = "999999999999", "AWSReservedSSO_PowerUser_0123456789abcdef"


def access_key_details(
    name: str = "",
    kind: str = "AssumedRole",
    principal: str = "",
    key: str = "ASIAFINDING000000001",
) -> AccessKeyDetails:
    return {"accessKeyId": key, "principalId": principal, "userType": kind, "userName": name}


CASES: list[tuple[str, AccessKeyDetails, str, str]] = [
    (
        "root",
        access_key_details("Root", "Root", MEMBER),
        f"arn:aws:iam::{MEMBER}:root",
        f"the root user of account {MEMBER} was used",
    ),
    (
        "identity_center",
        access_key_details(SSO, principal="AROASSO0000000000001:carol@example.com"),
        f"arn:aws:sts::{MEMBER}:assumed-role/{SSO}/carol@example.com",
        "carol@example.com signed in through IAM Identity Center (permission set PowerUser)",
    ),
    (
        "service_linked_role",
        access_key_details("AWSServiceRoleForSupport", principal="AROASLR0000000000001:s"),
        f"arn:aws:sts::{MEMBER}:assumed-role/AWSServiceRoleForSupport/s",
        "is a service-linked role",
    ),
    (
        "federated_user",
        access_key_details("carol", "FederatedUser", f"{MEMBER}:carol"),
        f"arn:aws:sts::{MEMBER}:federated-user/carol",
        "CloudTrail does not show yet by which IAM user",
    ),
    (
        "foreign_principal",
        access_key_details(OTHER, "AWSAccount", "AIDAFOREIGN000000001"),
        f"arn:aws:iam::{MEMBER}:foreign_principal/{OTHER}",
        f"the caller belongs to {OTHER}, not to account {MEMBER}",
    ),
    (
        "unknown_principal",
        access_key_details("x", "Unknown"),
        f"arn:aws:iam::{MEMBER}:unknown_principal/x",
        "does not say whose credential",
    ),
]


PATHS = {
    "identity_center": "/aws-reserved/sso.amazonaws.com/eu-central-1/",
    "service_linked_role": "/aws-service-role/s3.amazonaws.com/",
}


def of_existing_role(iam: IamLab, details: AccessKeyDetails) -> AccessKeyDetails:
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


@pytest.mark.parametrize(
    ("kind", "details", "arn", "reason"), CASES, ids=[case[0] for case in CASES]
)
def test_it_is_said_and_failed_with_the_commands(
    iam: IamLab, kind: str, details: AccessKeyDetails, arn: str, reason: str
) -> None:
    iam.details = of_existing_role(iam, details)
    target = iam.plan()
    assert (target.kind, target.arn) == (kind, arn)
    planned = iam.ids["planned"]
    assert reason in planned.consequences
    assert planned.principals[0] == arn
    assert list(planned.actions) == [
        f"by_hand_{number}" for number in range(1, len(planned.actions) + 1)
    ]
    iam.calls.clear()
    result = iam.respond(target)
    assert result.status is Status.FAILED
    assert result.detail.startswith("NOT contained: ")
    assert reason in result.detail
    assert {call.service for call in iam.calls} <= {"dynamodb"}, "nothing is changed"
    assert set(iam.actions().values()) == {"FAILED"}
    assert len(iam.actions()) == len(planned.actions) >= 2
    assert [check.fatal for check in iam.checks.values()] == [True]
    assert playbook.finish(iam.context(), target).done
    assert not playbook.find_actors(
        iam.context(),
        target,
        [],
        "",
        None,
        [],
    )


def commands(iam: IamLab, details: AccessKeyDetails) -> list[str]:
    iam.details = of_existing_role(iam, details)
    return list(iam.planned().actions.values())


@pytest.mark.parametrize("details", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_every_command_is_one_that_aws_has(iam: IamLab, details: AccessKeyDetails) -> None:
    """Service, operation and parameters, by botocore's models; placeholders are in capitals."""
    session = botocore.session.get_session()
    found = [
        re.sub(r"\s\((?!.*').*$", "", command[command.find("aws ") :])
        for command in commands(iam, details)
        if "aws " in command
    ]
    assert found
    for line in found:
        _, service, operation, *rest = shlex.split(line)
        model = session.get_service_model(service)
        shapes = {
            xform(name): model.operation_model(name).input_shape for name in model.operation_names
        }
        assert operation in shapes, line
        given = {word.removeprefix("--") for word in rest if word.startswith("--")} - {"region"}
        shape = shapes[operation]
        assert shape, line
        assert given <= {xform(name) for name in shape.members}, line
        required = {xform(name) for name in shape.required_members}
        assert required <= given, line


def xform(name: str) -> str:
    return str(botocore.xform_name(name, "-"))


def document(lines: list[str], after: str) -> PolicyDocument:
    [command] = [line for line in lines if f" {after} '" in line]
    return dict(json.loads(command.split(f"{after} '")[1].split("'")[0]))


def test_roots_service_control_policy_denies_root_alone(iam: IamLab) -> None:
    scp = document(commands(iam, access_key_details("Root", "Root", MEMBER)), "--content")
    request = ("s3:GetObject", "arn:aws:s3:::b/k")
    for principal, decision in (
        (f"arn:aws:iam::{MEMBER}:root", "Deny"),
        (f"arn:aws:iam::{MEMBER}:user/alice", "Allow"),
    ):
        assert (
            decide(
                [ALLOW_EVERYTHING, scp],
                *request,
                principal,
                aws__PrincipalArn=principal,
            )
            == decision
        )


def test_identity_centers_policy_denies_that_persons_older_sessions(iam: IamLab) -> None:
    lines = commands(
        iam, access_key_details(SSO, principal="AROASSO0000000000001:carol@example.com")
    )
    for after in ("--inline-policy", "--content"):
        policy = document(lines, after)
        for person, issued, decision in (
            ("carol@example.com", -60, "Deny"),
            ("carol@example.com", 60, "Allow"),
            ("dave@example.com", -60, "Allow"),
        ):
            keys = {
                "aws__userid": f"{iam.ids['roles'][SSO]}:{person}",
                "aws__TokenIssueTime": moment(issued),
            }
            assert (
                decide(
                    [ALLOW_EVERYTHING, policy],
                    "s3:GetObject",
                    "arn:aws:s3:::b/k",
                    **keys,
                )
                == decision
            )


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
    assert iam.role_policies("odd") == {}
    assert iam_backends[MEMBER]["aws"].roles


@pytest.mark.parametrize("name", [SSO, "AWSServiceRoleForSupport"])
def test_a_name_that_anybody_may_give_is_no_way_out(iam: IamLab, name: str) -> None:
    iam.role(name, session="soc-lead@example.com")
    target = iam.plan()
    assert target.kind == "role_session"
    assert iam.respond(target).status is Status.CONTAINED
    assert not is_allowed(
        iam,
        "soc-lead@example.com",
        -60,
        name,
    )


def test_another_role_of_a_deleted_ones_name_is_none_of_awss(iam: IamLab) -> None:
    """IAM's unique id is asked before the path."""
    iam.role(SSO, session="carol", path=PATHS["identity_center"])
    iam.details["principalId"] = "AROADELETED000000001:carol"
    assert "a new role of the same name" in iam.planned().consequences
    assert iam.respond().status is Status.GONE
    assert iam.role_policies(SSO) == {}
