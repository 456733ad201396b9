"""The set reaches the forensics account under its own key, and every way it does not is said.

moto asks no KMS for permission: what a missing key policy does on AWS (a copy that fails later,
with StateMessage) is set by hand.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.containment.contract import Target
from guardduty_response.containment.session_policy import accepted
from guardduty_response.containment.target_context import policy
from guardduty_response.errors import GateClosed
from guardduty_response.playbooks.ec2_instance.evidence import copies, forensics_account, snapshots
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import (
    KEY,
    VAULT,
    EvidenceLab,
    put_clock_forward,
    short,
)
from tests.unit.playbooks.watched_session import granted_resources

Json = dict[str, Any]


def configure_vault(lab: EvidenceLab, role: str | None = None, key: str = KEY) -> None:
    account = {
        "account_id": VAULT,
        "kms_key_arn": key,
        "copy_role_name": role,
    }
    lab.evidence["forensics_account"] = account


def ready(lab: EvidenceLab, role: str | None = None, key: str = KEY) -> Target:
    configure_vault(lab, role, key)
    lab.build()
    target = lab.plan()
    assert lab.collect(snapshots, target)[-1].outcome == "COMPLETE"
    return target


def own(lab: EvidenceLab, account: str) -> dict[str, Json]:
    """Source snapshot -> its copy in an account."""
    found = lab.in_account("ec2", account).describe_snapshots(OwnerIds=["self"])["Snapshots"]
    tags = {
        snapshot["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", [])}
        for snapshot in found
    }
    key = "guardduty-response-copy-of"
    return {
        tags[snapshot["SnapshotId"]][key]: snapshot
        for snapshot in found
        if key in tags[snapshot["SnapshotId"]]
    }


def shared_with(lab: EvidenceLab, snapshot: str) -> list[str]:
    got = lab.see("ec2").describe_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission"
    )
    return [permission["UserId"] for permission in got["CreateVolumePermissions"]]


def test_re_encrypted_then_shared(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    part = evidence.collect(copies, target)[-1]
    assert part.outcome == "COMPLETE"
    made = own(evidence, MEMBER)
    assert sorted(made) == sorted(evidence.kept("snapshots")["state"]["ids"])
    for source, copy in made.items():
        assert (copy["Encrypted"], copy["KmsKeyId"]) == (True, KEY)
        assert shared_with(evidence, copy["SnapshotId"]) == [VAULT]
        assert shared_with(evidence, source) == []
        assert f"{source} -> {copy['SnapshotId']}" in part.detail
    assert short(evidence.policies)


def test_ten_times_makes_one_copy_of_each(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    for _ in range(10):
        evidence.collect(copies, target)
    assert evidence.operations().count("CopySnapshot") == 2


def test_waits_for_the_set(evidence: EvidenceLab) -> None:
    configure_vault(evidence)
    evidence.build()
    target = evidence.plan()
    assert evidence.once(copies, target).outcome == "RUNNING"
    evidence.once(snapshots, target)
    assert evidence.once(copies, target).outcome == "RUNNING"
    evidence.collect(snapshots, target)
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"


def test_a_snapshot_under_the_aws_managed_key_is_shared_by_its_copy(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.attach_encrypted_volume()
    configure_vault(evidence)
    target = evidence.plan()
    set_ = evidence.collect(snapshots, target)[-1].state["snapshots"]
    (managed,) = [entry["id"] for entry in set_ if entry["encrypted"]]
    with pytest.raises(Exception, match="OperationNotPermitted"):  # what AWS says to those who try
        evidence.see("ec2").modify_snapshot_attribute(
            SnapshotId=managed,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=[VAULT],
        )
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    assert shared_with(evidence, own(evidence, MEMBER)[managed]["SnapshotId"]) == [VAULT]


def test_copied_into_the_forensics_account(evidence: EvidenceLab) -> None:
    target = ready(evidence, "guardduty-response-vault")
    part = evidence.collect(copies, target)[-1]
    assert part.outcome == "COMPLETE"
    shared, kept = own(evidence, MEMBER), own(evidence, VAULT)
    assert sorted(kept) == sorted(copy["SnapshotId"] for copy in shared.values())
    assert {entry["KmsKeyId"] for entry in kept.values()} == {KEY}
    assert all(entry["SnapshotId"] in part.detail for entry in kept.values())
    assert {entry["OwnerId"] for entry in kept.values()} == {VAULT}


@pytest.mark.parametrize("path", ["/", "/security/"])
def test_the_vault_role_is_assumed_at_the_path_of_the_roles(
    evidence: EvidenceLab, path: str
) -> None:
    evidence.role_path = path
    target = ready(evidence, "guardduty-response-vault")
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    asked = {call.params["RoleArn"] for call in evidence.calls if call.operation == "AssumeRole"}
    assert {arn for arn in asked if VAULT in arn} == {
        f"arn:aws:iam::{VAULT}:role{path}guardduty-response-vault"
    }


def test_a_role_that_cannot_be_assumed_leaves_the_set_shared(evidence: EvidenceLab) -> None:
    target = ready(evidence, "guardduty-response-vault")
    evidence.fail(
        "AssumeRole",
        "AccessDenied",
        lambda params: VAULT in params["RoleArn"],
    )
    part = evidence.collect(copies, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "modules/forensics-account" in part.detail
    assert f"in {VAULT}: aws ec2 copy-snapshot" in part.task
    assert all(
        shared_with(evidence, snapshot["SnapshotId"]) == [VAULT]
        for snapshot in own(evidence, MEMBER).values()
    )


@pytest.mark.parametrize("error", ["ResourceLimitExceeded", "RequestLimitExceeded"])
def test_the_limit_of_copies_is_waited_out(evidence: EvidenceLab, error: str) -> None:
    target = ready(evidence)
    evidence.fail("CopySnapshot", error, times=3)
    parts = evidence.collect(copies, target)
    assert [part.wait_seconds for part in parts[:3]] == [60, 60, 60]
    assert error in parts[0].detail
    assert parts[-1].outcome == "COMPLETE"
    assert len(own(evidence, MEMBER)) == 2


def test_a_limit_after_the_first_copy_repeats_only_the_second(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    second = evidence.kept("snapshots")["state"]["ids"][1]
    evidence.fail(
        "CopySnapshot",
        "ResourceLimitExceeded",
        lambda params: params["SourceSnapshotId"] == second,
        times=1,
    )
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    assert evidence.operations().count("CopySnapshot") == 3
    assert len([snapshot for snapshot in evidence.snapshots() if snapshot["Encrypted"]]) == 2


def test_a_call_that_died_after_copying_copies_nothing_twice(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ready(evidence)
    first, second = evidence.kept("snapshots")["state"]["ids"]

    def die(params: Json) -> bool:
        if params["SourceSnapshotId"] == second:
            raise KeyboardInterrupt
        return False

    evidence.fail("CopySnapshot", "never", die)
    with pytest.raises(KeyboardInterrupt):
        evidence.once(copies, target)
    evidence.faults.clear()
    # the first is listed; whether the second was made is not known yet
    part = evidence.once(copies, target)
    assert (part.outcome, evidence.operations().count("CopySnapshot")) == ("RUNNING", 1)
    put_clock_forward(monkeypatch, 60)
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    assert sorted(own(evidence, MEMBER)) == sorted([first, second])
    assert evidence.operations().count("CopySnapshot") == 2


def test_a_copy_that_failed_on_the_way_is_looked_for_first(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ready(evidence)
    evidence.fail("CopySnapshot", "InternalError", times=1)
    assert evidence.once(copies, target).outcome == "RUNNING"
    assert "interrupted call" in evidence.once(copies, target).detail
    assert evidence.operations().count("CopySnapshot") == 1
    put_clock_forward(monkeypatch, 60)
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    assert len(own(evidence, MEMBER)) == 2


def test_a_key_policy_that_lacks_the_collector_is_named(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    evidence.once(copies, target)
    for source, copy in own(evidence, MEMBER).items():
        made: Any = ec2_backends[MEMBER][REGION].snapshots[copy["SnapshotId"]]
        made.status, made.state_message = "error", "Given key ID is not accessible"
        assert source
    part = evidence.collect(copies, target)[-1]
    assert part.outcome == "FAILED"
    assert "guardduty-response-collector-ec2-instance" in part.detail
    assert "kms:GenerateDataKeyWithoutPlaintext" in part.detail
    assert "kms:GrantIsForAWSResource" in part.detail
    assert f"--kms-key-id {KEY}" in part.task
    assert "Given key ID is not accessible" in part.detail


def test_a_refused_share_is_named(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    evidence.fail("ModifySnapshotAttribute", "UnauthorizedOperation", times=1)
    part = evidence.collect(copies, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "could not be shared" in part.detail
    assert "aws ec2 modify-snapshot-attribute" in part.task


def test_a_share_that_does_not_read_back_is_none(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    evidence.once(copies, target)
    made: dict[str, Any] = ec2_backends[MEMBER][REGION].snapshots
    for snapshot in made.values():
        snapshot.create_volume_permission_userids = frozenset()  # takes no update
        snapshot.ec2_backend.add_create_volume_permission = lambda *_, **__: None
    part = evidence.collect(copies, target)[-1]
    assert part.outcome == "FAILED"
    assert "reads back as shared with nobody" in part.detail


def test_complete_snapshots_of_a_broken_set_are_copied(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    state = evidence.kept("snapshots")
    state["outcome"] = "FAILED"
    state["state"]["snapshots"][0]["state"] = "error"
    InstanceContext(evidence.context(), target).record_evidence("snapshots", state)
    part = evidence.collect(copies, target)[-1]
    assert list(own(evidence, MEMBER)) == [state["state"]["ids"][1]]
    assert part.outcome == "COMPLETE"
    assert "1 of 1" in part.detail


def test_nothing_to_copy(evidence: EvidenceLab) -> None:
    target = ready(evidence)
    InstanceContext(evidence.context(), target).record_evidence(
        "snapshots",
        {
            "outcome": "FAILED",
            "detail": "refused",
            "state": {},
        },
    )
    assert evidence.collect(copies, target)[-1].outcome == "NOT_POSSIBLE"


@pytest.mark.parametrize(
    ("key", "outcome"),
    [
        (
            "arn:aws:kms:eu-west-1:333333333333:key/11111111-2222-3333-4444-555555555555",
            "NOT_POSSIBLE",
        ),
        ("arn:aws:kms:eu-west-1:333333333333:key/mrk-1234567890abcdef", "COMPLETE"),
        ("alias/forensics", "NOT_POSSIBLE"),
    ],
)
def test_the_key_must_be_of_the_region(evidence: EvidenceLab, key: str, outcome: str) -> None:
    part = evidence.collect(copies, ready(evidence, key=key))[-1]
    assert part.outcome == outcome
    keys = {snapshot["KmsKeyId"] for snapshot in own(evidence, MEMBER).values()}
    assert keys == ({key.replace("eu-west-1", REGION)} if outcome == "COMPLETE" else set())
    assert bool(part.task) == (outcome != "COMPLETE")


def test_copies_that_never_complete_end(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ready(evidence)
    evidence.once(copies, target)
    for snapshot in own(evidence, MEMBER).values():
        ec2_backends[MEMBER][REGION].snapshots[snapshot["SnapshotId"]].status = "pending"
    assert evidence.once(copies, target).outcome == "RUNNING"
    put_clock_forward(monkeypatch, copies.LIMIT_SECONDS + 1)
    part = evidence.once(copies, target)
    assert part.outcome == "FAILED"
    assert "2 not complete after 24 hours" in part.detail


def test_no_forensics_account(evidence: EvidenceLab) -> None:
    evidence.build()
    assert evidence.collect(copies, evidence.plan())[-1].outcome == "SKIPPED"
    assert "CopySnapshot" not in evidence.operations()


def sources(policy: Json) -> list[str]:
    """The snapshots that a session may copy."""
    granted = granted_resources(policy, "ec2:CopySnapshot")
    return [arn for arn in granted if "::" not in arn]


def test_session_policies_fit_and_pin_the_account(evidence: EvidenceLab) -> None:
    instance = InstanceContext(evidence.context(), ready(evidence, "guardduty-response-vault"))
    many = [f"snap-0123456789abcde{number:02}" for number in range(40)]
    account = forensics_account.forensics_account(instance)
    assert account is not None
    opened = len(evidence.policies)
    forensics_account.CopyingSessions(instance, account, many[:3])
    [few] = evidence.policies[opened:]
    forensics_account.CopyingSessions(instance, account, many)
    copying = evidence.policies[opened:]
    sharing = policy(*forensics_account.sharing_policy(instance, account))
    in_forensics = policy(*forensics_account.forensics_policy(instance, account))
    assert all(map(accepted, [*copying, sharing, in_forensics]))
    assert granted_resources(few, "ec2:CopySnapshot")[:1] == [
        f"arn:aws:ec2:{REGION}::snapshot/*"  # the new ones, by their tags
    ]
    assert [arn.rpartition("/")[2] for arn in sources(few)] == many[:3]
    assert [arn for policy in copying[1:] for arn in sources(policy)] == [
        f"arn:aws:ec2:{REGION}:*:snapshot/{id}" for id in many
    ]
    (share,) = [
        statement
        for statement in sharing["Statement"]
        if "ec2:ModifySnapshotAttribute" in statement["Action"]
    ]
    assert share["Condition"]["StringEquals"]["ec2:Add/userId"] == VAULT
    assert "Delete" not in json.dumps([*copying, sharing, in_forensics])
    assert "ModifySnapshotAttribute" not in json.dumps([*copying, in_forensics])


def test_a_closed_gate_is_no_fault_of_the_copying_role(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector asks again after a pause, and the copies are made."""
    target = ready(evidence, role="guardduty-response-vault")

    def closed(*_: Any) -> Any:
        raise GateClosed("nothing is changed any more: the response is paused by ada")

    with monkeypatch.context() as paused:
        paused.setattr(copies, "open_forensics_session", closed)
        with pytest.raises(GateClosed):
            evidence.collect(copies, target)
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
