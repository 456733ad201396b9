"""A new key for a contained user: where it goes, who may read it, what happens when it cannot
be, and that it is said nowhere.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal.eradicate import rotate

from tests.unit.deployment import MEMBER, PREFIX, REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    INCIDENT,
    USER,
    EradicationLab,
)

Json = dict[str, Any]
OTHER = "333333333333"
OWNER = f"arn:aws:iam::{MEMBER}:role/app"
NAME = f"{PREFIX}/{USER}/{INCIDENT}"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    """A user whose only key containment has made inactive."""
    made = EradicationLab(deployment, monkeypatch)
    made.options |= {"remediate": [], "rotate_key": {"reader_arns": [OWNER], "kms_key_id": None}}
    iam = made.see("iam")
    key = iam.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]
    made.record.before(INCIDENT, made.kind, USER, "access_keys", {key: "Active"})
    iam.update_access_key(UserName=USER, AccessKeyId=key, Status="Inactive")
    return made


def keys(lab: EradicationLab) -> dict[str, str]:
    return {
        key["AccessKeyId"]: key["Status"]
        for key in lab.see("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"]
    }


def secret(lab: EradicationLab) -> Json:
    return dict(
        json.loads(lab.see("secretsmanager").get_secret_value(SecretId=NAME)["SecretString"])
    )


def kept(lab: EradicationLab) -> Json:
    return lab.kept("rotation")


def test_the_new_key_lies_in_the_secret_and_nowhere_else(
    lab: EradicationLab, capsys: pytest.CaptureFixture[str]
) -> None:
    old = keys(lab)
    step = lab.once()
    found = secret(lab)
    assert set(found) == {"access_key_id", "secret_access_key"}
    assert keys(lab) == {**old, found["access_key_id"]: "Active"}
    entry = kept(lab)
    assert (step.done, entry["outcome"], entry["task"]) == (True, "COMPLETE", "")
    assert entry["state"] == {
        "keys": list(old),
        "secret": NAME,
        "region": REGION,
        "key": found["access_key_id"],
    }
    assert (
        found["access_key_id"] in entry["detail"]
        and "can do nothing while the user is denied everything" in entry["detail"]
    )
    assert lab.stored_record()["actions"]["rotate_access_key"]["status"] == "DONE"
    assert found["secret_access_key"] not in lab.said() + str(step) + "".join(capsys.readouterr())
    tags = {
        tag["Key"]: tag["Value"]
        for tag in lab.see("secretsmanager").describe_secret(SecretId=NAME)["Tags"]
    }
    assert tags == {PREFIX: "access-key", f"{PREFIX}-incident": INCIDENT}


def test_who_may_read_it(lab: EradicationLab) -> None:
    lab.once()
    policy = json.loads(
        lab.see("secretsmanager").get_resource_policy(SecretId=NAME)["ResourcePolicy"]
    )
    assert policy == rotate.readers_policy([OWNER])
    [asked] = [params for name, params in lab.calls if name == "PutResourcePolicy"]
    assert asked["BlockPublicPolicy"] is True
    order = [name for name, _ in lab.calls]
    names = ["PutResourcePolicy", "CreateAccessKey", "PutSecretValue"]
    first_calls = [order.index(name) for name in names]
    assert first_calls == sorted(first_calls)


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        (OWNER, "Allow"),
        (f"arn:aws:iam::{MEMBER}:role/admin", "Deny"),
        (f"arn:aws:iam::{MEMBER}:user/{USER}", "Deny"),
        (f"arn:aws:iam::{MEMBER}:role/{PREFIX}-remediator-iam-principal", "Deny"),
    ],
)
def test_what_the_policy_answers(who: str, answer: str) -> None:
    """By an IAM evaluator, beside an identity policy that allows everything; anybody may still
    delete or rewrite it then.
    """
    from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    own = [
        {k: v for k, v in statement.items() if k != "Principal"}
        for statement in rotate.readers_policy([OWNER])["Statement"]
    ]
    documents = [
        parse_policy_document(json.dumps(document))
        for document in (everything, {"Version": "2012-10-17", "Statement": own})
    ]

    def decided(action: str) -> str:
        context = EvalContext(
            principal_arn=who,
            principal_type="AssumedRole",
            principal_account=MEMBER,
            action=action,
            resource_arn="*",
            region=REGION,
            secure_transport=True,
            request_tags={},
            tag_keys=[],
            service_context={"aws:PrincipalArn": who, "aws:principalarn": who},
        )
        return str(evaluate(context, documents).decision)

    assert decided("secretsmanager:GetSecretValue") == answer
    assert decided("secretsmanager:DeleteSecret") == "Allow", "nobody is locked out of cleaning up"


def test_readers_by_pattern_read_by_their_own_policies() -> None:
    pattern = f"arn:aws:iam::{MEMBER}:role/app-*"
    assert [statement["Sid"] for statement in rotate.readers_policy([pattern])["Statement"]] == [
        "NobodyElse"
    ]
    allowed, denied = rotate.readers_policy([pattern, OWNER])["Statement"]
    assert (allowed["Principal"], denied["Condition"]) == (
        {"AWS": [OWNER]},
        {"ArnNotLike": {"aws:PrincipalArn": [pattern, OWNER]}},
    )


SHARED = f"arn:aws:kms:us-west-2:{OTHER}:key/k"
ELSEWHERE = f"arn:aws:iam::{OTHER}:role/owner"


@pytest.mark.parametrize(
    ("key", "region"), [(None, REGION), ("alias/ours", REGION), (SHARED, "us-west-2")]
)
@pytest.mark.parametrize("finding", [REGION, "ap-southeast-2"])
def test_the_secret_is_where_its_key_is_else_at_home(
    lab: EradicationLab, key: str | None, region: str, finding: str
) -> None:
    lab.region = finding
    lab.options["rotate_key"]["kms_key_id"] = key
    lab.once()
    assert lab.see("secretsmanager", region).describe_secret(SecretId=NAME)["Name"] == NAME
    assert kept(lab)["outcome"] == "COMPLETE" and f"({region})" in kept(lab)["detail"]
    lab.options["rotate_key"]["kms_key_id"] = None
    assert lab.once().done and kept(lab)["state"]["region"] == region
    asked = {
        str(statement["Resource"])
        for policy in lab.policies
        for statement in policy["Statement"]
        if "secretsmanager" in str(statement)
    }
    assert any(f":secretsmanager:{region}:" in action for action in asked), asked


@pytest.mark.parametrize(
    ("key", "readers", "barred"),
    [
        (None, [OWNER, ELSEWHERE], [ELSEWHERE]),
        ("alias/aws/secretsmanager", [ELSEWHERE], [ELSEWHERE]),
        (SHARED, [ELSEWHERE[:-1] + "*"], [ELSEWHERE[:-1] + "*"]),
        (SHARED, [OWNER, ELSEWHERE], []),
        ("alias/ours", [ELSEWHERE], []),
    ],
)
def test_no_key_is_made_that_its_reader_could_never_read(
    lab: EradicationLab, key: str | None, readers: list[str], barred: list[str]
) -> None:
    """aws/secretsmanager is used by its own account alone, and a policy's principal is no
    pattern.
    """
    old = keys(lab)
    lab.options["rotate_key"] = {"reader_arns": readers, "kms_key_id": key}
    lab.once()
    if not barred:
        assert kept(lab)["outcome"] == "COMPLETE"
        return
    assert (
        keys(lab) == old
        and [name for name, _ in lab.calls if name in ("CreateSecret", "CreateAccessKey")] == []
    )
    entry = kept(lab)
    assert (
        entry["outcome"] == "FAILED"
        and f"{', '.join(barred)} could never read it" in entry["detail"]
    )
    assert "kms_key_id must be a customer managed key" in entry["detail"]
    assert entry["task"] == "create a new key by hand: aws iam create-access-key --user-name alice"


def test_with_a_key_of_the_teams_own(lab: EradicationLab) -> None:
    lab.options["rotate_key"]["kms_key_id"] = f"arn:aws:kms:{REGION}:{MEMBER}:key/k"
    lab.once()
    assert lab.see("secretsmanager").describe_secret(SecretId=NAME)["KmsKeyId"].endswith("key/k")
    granted = [
        statement
        for policy in lab.policies
        for statement in policy["Statement"]
        if "kms:Decrypt" in statement["Action"]
    ]
    assert {str(action["Condition"]) for action in granted} == {
        str({"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}})
    }


def test_once_and_no_more(lab: EradicationLab) -> None:
    lab.once()
    after = keys(lab)
    lab.calls.clear()
    lab.once()
    assert (keys(lab), lab.changed()) == (after, [])


# -- not done --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", ["AccessDeniedException", "ThrottlingException", "InternalServiceError"]
)
def test_a_key_that_cannot_be_stored_is_deleted_at_once(
    lab: EradicationLab, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = keys(lab)
    lab.fail("PutSecretValue", error)
    assert lab.once().done
    assert keys(lab) == old
    assert kept(lab)["outcome"] == "FAILED" and "could not be stored" in kept(lab)["detail"]
    assert (
        "it was deleted" in kept(lab)["detail"]
        and "aws iam create-access-key --user-name alice" in kept(lab)["task"]
    )
    made = [
        key
        for key in lab.made
        if key["SecretAccessKey"] in lab.said() + "".join(capsys.readouterr())
    ]
    assert len(lab.made) == 1 and made == []


def test_a_key_that_can_be_neither_stored_nor_deleted_is_inactive(lab: EradicationLab) -> None:
    lab.fail("PutSecretValue", "AccessDeniedException")
    lab.fail("DeleteAccessKey", "AccessDenied")
    lab.once()
    assert sorted(keys(lab).values()) == ["Inactive", "Inactive"]
    assert "it is inactive, deleting it failed (AccessDenied)" in kept(lab)["detail"]


@pytest.mark.parametrize("operation", ["CreateSecret", "PutResourcePolicy", "CreateAccessKey"])
def test_what_fails_before_leaves_no_key(lab: EradicationLab, operation: str) -> None:
    old = keys(lab)
    lab.fail(operation, "AccessDenied")
    lab.once()
    assert keys(lab) == old and kept(lab)["outcome"] == "FAILED"
    assert (
        "AccessDenied" in kept(lab)["detail"]
        and lab.stored_record()["actions"]["rotate_access_key"]["status"] == "FAILED"
    )


def test_throttled_before_it_is_asked_again(lab: EradicationLab) -> None:
    lab.fail("CreateSecret", "ThrottlingException", times=2)
    assert [lab.once().done for _ in range(3)] == [False, False, True]
    assert secret(lab)["access_key_id"] in keys(lab)


def test_throttled_for_ever_it_is_given_up(lab: EradicationLab) -> None:
    lab.fail("CreateSecret", "ThrottlingException")
    steps = [lab.once().done for _ in range(rotate.TRIES + 1)]
    assert steps == [False] * rotate.TRIES + [True]
    assert kept(lab)["outcome"] == "FAILED"


def test_two_keys_leave_no_room(lab: EradicationLab) -> None:
    lab.see("iam").create_access_key(UserName=USER)
    old = keys(lab)
    lab.once()
    assert (keys(lab), kept(lab)["outcome"]) == (old, "FAILED")
    assert "CreateSecret" not in lab.changed()
    first = min(old)
    assert (
        f"aws iam delete-access-key --user-name alice --access-key-id {first} && aws iam"
        " create-access-key" in kept(lab)["task"]
    )


def test_a_user_that_had_no_active_key(lab: EradicationLab) -> None:
    lab.record.set_target(
        INCIDENT, lab.kind, USER, before={"access_keys": dict.fromkeys(keys(lab), "Inactive")}
    )
    lab.once()
    assert (kept(lab)["outcome"], lab.changed()) == ("SKIPPED", [])


def test_a_user_that_is_gone(lab: EradicationLab) -> None:
    iam = lab.see("iam")
    for key in keys(lab):
        iam.delete_access_key(UserName=USER, AccessKeyId=key)
    iam.delete_user(UserName=USER)
    lab.once()
    assert (kept(lab)["outcome"], lab.changed()) == ("SKIPPED", [])


def test_off(lab: EradicationLab) -> None:
    lab.options["rotate_key"] = None
    lab.once()
    assert (kept(lab), lab.changed()) == ({}, [])


# -- ended in between ------------------------------------------------------------------------------


def test_ended_between_making_and_storing(lab: EradicationLab) -> None:
    """Nobody has the secret part of that key: it is made inactive, and people are told."""
    old = keys(lab)
    state = {"keys": list(old), "secret": NAME}
    lab.record.evidence(
        INCIDENT, lab.kind, USER, "rotation", {"outcome": "RUNNING", "detail": "", "state": state}
    )
    lost = lab.see("iam").create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]
    lab.once()
    assert keys(lab) == {**old, lost: "Inactive"}
    assert f"--access-key-id {lost}" in kept(lab)["task"] and kept(lab)["outcome"] == "FAILED"


def test_ended_between_storing_and_writing(lab: EradicationLab) -> None:
    lab.once()
    entry, made = kept(lab), secret(lab)["access_key_id"]
    state = {name: value for name, value in entry["state"].items() if name != "key"}
    lab.record.evidence(
        INCIDENT, lab.kind, USER, "rotation", {**entry, "outcome": "RUNNING", "state": state}
    )
    lab.calls.clear()
    lab.once()
    assert (lab.changed(), kept(lab)["outcome"], kept(lab)["state"]["key"]) == (
        [],
        "COMPLETE",
        made,
    )
    assert keys(lab)[made] == "Active"


def test_restore_leaves_the_new_key_and_names_it(lab: EradicationLab) -> None:
    lab.once()
    after, made = keys(lab), secret(lab)["access_key_id"]
    result = lab.restore()
    assert (keys(lab), result.status) == (after, Status.RESTORE_PARTIAL)
    [text] = result.not_restored
    assert NAME in text
    assert f"aws iam delete-access-key --user-name alice --access-key-id {made}" in text
    assert secret(lab)["secret_access_key"] not in lab.said() + text


def test_a_name_that_secrets_manager_does_not_take(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = EradicationLab(deployment, monkeypatch, name="a,b+c@d")
    lab.options |= {"rotate_key": {"reader_arns": [OWNER], "kms_key_id": None}}
    lab.see("iam").create_user(UserName="a,b+c@d")
    lab.record.before(INCIDENT, lab.kind, lab.name, "access_keys", {"AKIA": "Active"})
    lab.once()
    assert lab.see("secretsmanager").get_secret_value(SecretId=f"{PREFIX}/a_b+c@d/{INCIDENT}")[
        "SecretString"
    ]
