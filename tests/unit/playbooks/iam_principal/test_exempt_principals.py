"""Who is never contained: exempt principals, and the response's own roles, which are an alarm."""

from __future__ import annotations

import pytest

from tests.support.repository import load_finding
from tests.unit.deployment import OWN, OWN_ROLES, Deployment, onlooker
from tests.unit.playbooks.iam_principal.function_steps import (
    OpenIncident,
    close_incident,
    plan_incident,
)
from tests.unit.playbooks.iam_principal.iam_account import Json
from tests.unit.playbooks.iam_principal.iam_lab import PREFIX
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER


def finding_about(deployment: Deployment, name: str, kind: str = "user", path: str = "/") -> Json:
    """A finding about a user or a role's session of that name."""
    event = load_finding("unauthorizedaccess_iamuser_unusualasncaller")
    details = event["detail"]["resource"]["accessKeyDetails"]
    iam = onlooker("iam")
    if kind == "user":
        created = iam.create_user(UserName=name, Path=path)["User"]
        details |= {"userName": name, "principalId": "", "userType": "IAMUser"}
    else:
        created = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Path=path)["Role"]
        details |= {
            "userName": name,
            "principalId": f"{created['RoleId']}:session",
            "userType": "AssumedRole",
        }
    return event


@pytest.mark.parametrize(
    ("name", "kind", "exempt", "reason"),
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
    deployment: Deployment,
    open_incident: OpenIncident,
    name: str,
    kind: str,
    exempt: list[str],
    reason: str,
) -> None:
    event = finding_about(deployment, name, kind)
    incident_id = open_incident(event, {"guardrails.exempt_principals": exempt})
    assert plan_incident(incident_id)["decision"] == "skip"
    assert any(reason in text for text in deployment.meta(incident_id)["reasons"])
    iam = onlooker("iam")
    if kind == "user":
        assert iam.list_attached_user_policies(UserName=name)["AttachedPolicies"] == []
    else:
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    [target] = deployment.targets(incident_id)
    assert target["before"] == {}


@pytest.mark.parametrize("name", OWN_ROLES)
def test_a_role_of_the_response_itself_is_an_alarm(
    deployment: Deployment, open_incident: OpenIncident, name: str
) -> None:
    """Its credentials may be stolen: nothing of it can be changed, and people are woken."""
    incident_id = open_incident(finding_about(deployment, name, "role"))
    answer = plan_incident(incident_id)
    assert answer["decision"] == "failed"
    assert answer["targets"] == []
    assert "is a role of the response itself" in answer["error"]
    assert onlooker("iam").list_role_policies(RoleName=name)["PolicyNames"] == []
    deployment.messages("escalations")
    close_incident(incident_id, answer["error"])
    assert deployment.meta(incident_id)["status"] == "FAILED"
    [message] = deployment.messages("escalations")
    assert "NOT contained. A person must act now" in message["Message"]
    assert "revoke the role's active sessions" in message["Message"]
    [target] = deployment.targets(incident_id)
    assert (target["status"], target["before"]) == ("FAILED", {})


def test_who_exempts_a_role_of_the_response_hears_no_alarm(
    deployment: Deployment, open_incident: OpenIncident
) -> None:
    name = OWN_ROLES[0]
    exempt = [f"arn:aws:iam::*:role/{name}"]
    event = finding_about(deployment, name, "role")
    incident_id = open_incident(event, {"guardrails.exempt_principals": exempt})
    assert plan_incident(incident_id)["decision"] == "skip"


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
    deployment: Deployment, open_incident: OpenIncident, name: str, kind: str, path: str
) -> None:
    """Anybody may give a principal of theirs our prefix, or a name that no role has: here the
    restorer is switched off.
    """
    used = [role for role in OWN if "-restorer-" not in role]
    event = finding_about(deployment, name, kind, path)
    incident_id = open_incident(event, {"responder.own_roles": used})
    assert plan_incident(incident_id)["decision"] == "act"


def test_the_exempt_role_of_a_session_with_a_path(
    deployment: Deployment, open_incident: OpenIncident
) -> None:
    event = finding_about(deployment, "terraform", "role", "/ci/")
    incident_id = open_incident(
        event, {"guardrails.exempt_principals": ["arn:aws:iam::*:role/ci/*"]}
    )
    assert plan_incident(incident_id)["decision"] == "skip"
