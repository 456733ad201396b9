"""Who may assume a role: other accounts are denied, or people are told where they may have been let
in before; and brought back.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state

from tests.unit.deployment import MEMBER, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import EradicationLab
from tests.unit.playbooks.iam_principal.eradication_scenario import (
    TRUST,
    create_role,
    for_people,
    trust,
)

Json = dict[str, Any]
OTHER, PARTNER = "999999999999", "111111111111"
SID = "GuarddutyResponseDenyOutside"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    made = EradicationLab(deployment, monkeypatch)
    made.see("iam").create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    return made


@pytest.fixture
def new(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    """A call of the finding made the role, which nothing undoes here."""
    made = EradicationLab(deployment, monkeypatch)
    made.options["remediate"] = ["trust"]
    create_role(made)
    return made


def role_trust(lab: EradicationLab) -> Json:
    return dict(lab.see("iam").get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"])


def set_trust(lab: EradicationLab, document: Json) -> None:
    """The principal replaces the trust policy of the role app."""
    text = json.dumps(document)
    lab.does("iam", "update_assume_role_policy", RoleName="app", PolicyDocument=text)


@pytest.mark.parametrize(
    "outside",
    [
        {"AWS": f"arn:aws:iam::{OTHER}:root"},
        {"AWS": [f"arn:aws:iam::{MEMBER}:root", f"arn:aws:iam::{OTHER}:role/x"]},
        {"AWS": OTHER},
        {"AWS": "*"},
        "*",
    ],
)
def test_a_door_for_another_account(new: EradicationLab, outside: Any) -> None:
    lab = new
    document = trust({"Service": "ec2.amazonaws.com"}, outside)
    set_trust(lab, document)
    lab.eradicate()
    *kept, denial = role_trust(lab)["Statement"]
    assert kept == document["Statement"], "what was there stays"
    assert (denial["Sid"], denial["Effect"], denial["Action"]) == (SID, "Deny", "sts:AssumeRole")
    assert denial["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": MEMBER}
    assert lab.lines() == {"UpdateAssumeRolePolicy": "DONE"}
    assert lab.restore().status is Status.RESTORED
    assert role_trust(lab) == document


@pytest.mark.parametrize(
    "inside",
    [
        {"Service": "ec2.amazonaws.com"},
        {"AWS": f"arn:aws:iam::{MEMBER}:root"},
        {"AWS": MEMBER},
        {"Federated": f"arn:aws:iam::{MEMBER}:saml-provider/idp"},
        {"AWS": "AROAEXAMPLEEXAMPLE12"},
    ],
)
def test_trust_that_names_this_account_alone_is_for_people(
    lab: EradicationLab, inside: Any
) -> None:
    document = trust(inside)
    set_trust(lab, document)
    lab.eradicate()
    assert (role_trust(lab), lab.lines()) == (document, {"UpdateAssumeRolePolicy": "SKIPPED"})
    assert "aws iam get-role --role-name app" in lab.left[0]


def test_a_door_in_a_role_that_was_there_is_for_people(lab: EradicationLab) -> None:
    """The partner was there before, and CloudTrail's event has the new document alone."""
    partner, stranger = ({"AWS": f"arn:aws:iam::{id}:root"} for id in (PARTNER, OTHER))
    document = json.dumps(trust(partner))
    lab.see("iam").update_assume_role_policy(RoleName="app", PolicyDocument=document)
    set_trust(lab, trust(partner, stranger))
    lab.eradicate()
    assert asked(role_trust(lab), "sts:AssumeRole", PARTNER) == "Allow"
    assert (lab.lines(), lab.changed()) == ({"UpdateAssumeRolePolicy": "SKIPPED"}, [])
    [left] = lab.left
    assert f"lets in arn:aws:iam::{PARTNER}:root, arn:aws:iam::{OTHER}:root" in left
    assert "whom it let in before is not known" in left
    assert lab.see("iam").get_role(RoleName="app")["Role"]["RoleId"] in left
    assert "aws iam update-assume-role-policy --role-name app" in left


def test_two_changes_of_one_trust_get_one_denial(new: EradicationLab) -> None:
    lab = new
    for outside in (OTHER, "888888888888"):
        set_trust(lab, trust({"AWS": outside}))
    lab.eradicate()
    sids = [statement.get("Sid") for statement in role_trust(lab)["Statement"]]
    assert (sids.count(SID), for_people(lab)) == (1, [])


def test_trust_changed_since_is_not_overwritten_by_restore(new: EradicationLab) -> None:
    lab = new
    set_trust(lab, trust({"AWS": OTHER}))
    lab.eradicate()
    now = trust({"AWS": MEMBER})
    lab.see("iam").update_assume_role_policy(RoleName="app", PolicyDocument=json.dumps(now))
    result = lab.restore()
    assert (role_trust(lab), result.status) == (now, Status.RESTORE_PARTIAL)


def test_what_the_denial_denies() -> None:
    """By an IAM evaluator: strangers, and neither the own account nor a service nor a web
    identity.
    """
    document = resource_state.with_denial(trust({"AWS": "*"}), SID, MEMBER)
    document["Statement"].append(
        {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": "*"}
    )
    assert asked(document, "sts:AssumeRole", OTHER) == "Deny"
    assert asked(document, "sts:AssumeRole", MEMBER) == "Allow"
    assert asked(document, "sts:AssumeRole", OTHER, PrincipalIsAWSService="true") == "Allow"
    assert asked(document, "sts:AssumeRoleWithWebIdentity", "anonymous") == "Allow"


def asked(document: Json, action: str, account: str, **keys: str) -> str:
    """What the evaluator says of a call by a principal of the account whom a statement names."""
    from ministack.core.iam_evaluator import EvalContext, parse_policy_document
    from ministack.core.iam_evaluator import evaluate as answer

    statements = [
        {**{k: v for k, v in statement.items() if k != "Principal"}, "Resource": "*"}
        for statement in document["Statement"]
        if account in json.dumps(statement["Principal"])
        or "*" in json.dumps(statement["Principal"])
    ]
    identity = json.dumps({"Version": "2012-10-17", "Statement": statements})
    context = EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn="*",
        region="us-east-1",
        secure_transport=True,
        request_tags={},
        tag_keys=[],
        service_context={
            k: v for name, v in keys.items() for k in (f"aws:{name}", f"aws:{name}".lower())
        },
    )
    return str(answer(context, [parse_policy_document(identity)]).decision)
