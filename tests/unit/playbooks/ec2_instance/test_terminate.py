"""An instance is terminated only when it is contained, and its snapshots are complete and
readable.
"""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import terminate

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, Lab
from tests.unit.playbooks.ec2_instance.finish_lab import (
    contained,
    keep_snapshots,
    read_events,
    state_of,
)
from tests.unit.playbooks.ec2_instance.quarantine_lab import let_in
from tests.unit.playbooks.watched_session import acting

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model


def protected(lab: Lab) -> bool:
    got = lab.see("ec2").describe_instance_attribute(
        InstanceId=lab.ids["instance"], Attribute="disableApiTermination"
    )
    return bool(got["DisableApiTermination"]["Value"])


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """EBS direct APIs: moto knows only blocks that were put through it, so botocore's Stubber
    answers them; it validates every parameter against botocore's own model. Names the snapshots
    read; ``refuse`` in it refuses the next.
    """
    read: list[str] = []
    original = clients.Session.client

    def client(self: clients.Session, service: str, region: str = "") -> object:
        if service != "ebs":
            return original(self, service, region)
        made = botocore.session.Session().create_client(
            "ebs", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        stub = Stubber(made)
        for _ in range(4):
            if "refuse" in read:
                stub.add_client_error(
                    "list_snapshot_blocks", "AccessDeniedException", "kms:Decrypt"
                )
                break
            stub.add_response(
                "list_snapshot_blocks", {"Blocks": [{"BlockIndex": 7, "BlockToken": "t"}]}
            )
            stub.add_response(
                "get_snapshot_block",
                {
                    "DataLength": 1,
                    "BlockData": b"x",
                    "Checksum": "c",
                    "ChecksumAlgorithm": "SHA256",
                },
            )
        stub.activate()
        made.meta.events.register_first(
            "before-parameter-build.ebs.*", lambda params, **_: read.append(params["SnapshotId"])
        )
        return made

    monkeypatch.setattr(clients.Session, "client", client)
    return read


def run_terminate(lab: Lab, target: Target) -> list[StepResult]:
    def step(context: Context, found: Target) -> StepResult:
        with acting(lab, "terminator"):
            return terminate.terminate(context, found)

    return lab.wait(step, target)


def test_terminated_when_contained_kept_and_readable(lab: Lab, readable: list[str]) -> None:
    lab.build(asg=True)
    lab.options["finish"] = "terminate"
    target = contained(lab)
    assert protected(lab)
    steps = run_terminate(lab, target)
    assert [step.done for step in steps] == [False, True]
    assert state_of(lab) == "terminated"
    stored_record = lab.stored_record()
    assert stored_record["actions"]["terminate_instance"]["status"] == "DONE"
    assert stored_record["status"] == "GONE"
    ids = stored_record["evidence"]["snapshots"]["state"]["ids"]
    assert sorted(set(readable)) == sorted(ids)
    assert lab.operations().count("TerminateInstances") == 1


def test_off_terminates_nothing(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    run_terminate(lab, contained(lab))
    assert state_of(lab) == "running"
    assert lab.actions()["terminate_instance"] == "SKIPPED"


def refusal(lab: Lab, target: Target) -> str:
    run_terminate(lab, target)
    assert state_of(lab) == "running"
    line = lab.stored_record()["actions"]["terminate_instance"]
    assert line["status"] == "SKIPPED"
    assert "aws ec2 terminate-instances" in line["detail"]
    assert [event["detail"] for event in read_events(lab)[2] if event["event"] == "task"]
    return str(line["detail"])


def test_not_terminated_without_a_snapshot(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    assert "snapshot set is not complete" in refusal(lab, contained(lab, evidence=False))


def test_not_terminated_while_the_network_is_not_closed(lab: Lab, readable: list[str]) -> None:
    """Somebody has opened it since the verdict."""
    lab.build()
    lab.options["finish"] = "terminate"
    target = contained(lab)
    let_in(lab, lab.group()["GroupId"])
    assert "has rules: ingress tcp 22-22" in refusal(lab, target)


def test_not_terminated_when_a_snapshot_cannot_be_read(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    readable.append("refuse")
    assert "cannot be read (AccessDeniedException: kms:Decrypt)" in refusal(lab, contained(lab))


def test_not_terminated_when_a_snapshot_is_gone(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = contained(lab)
    [id, *_] = lab.stored_record()["evidence"]["snapshots"]["state"]["ids"]
    lab.see("ec2").delete_snapshot(SnapshotId=id)
    assert f"{id} is missing" in refusal(lab, target)


@pytest.mark.parametrize(
    "outcome", ["FAILED", "PARTIAL", "RUNNING", "NOT_POSSIBLE", "SKIPPED", "missing"]
)
def test_not_terminated_unless_the_forensics_account_has_its_copies(
    lab: Lab, readable: list[str], outcome: str
) -> None:
    """A key of another Region, for one: without copies all that would be left can be deleted by
    the compromised account.
    """
    lab.forensics_account = {
        "account_id": "333333333333",
        "kms_key_arn": "arn:aws:kms:eu-west-1:333333333333:key/k",
    }
    lab.build()
    lab.options["finish"] = "terminate"
    copies: dict[str, Any] = (
        {}
        if outcome == "missing"
        else {"copies": {"outcome": outcome, "detail": "the key is refused", "state": {}}}
    )
    said = (
        f"for the forensics account are {outcome}"
        f" ({'never asked for' if outcome == 'missing' else 'the key is refused'})"
    )
    assert said in refusal(lab, contained(lab, **copies))
    assert "TerminateInstances" not in lab.operations()


@pytest.mark.parametrize("outcome", ["COMPLETE", "SKIPPED"])
def test_terminated_when_its_copies_are_complete_or_none_are_wanted(
    lab: Lab, readable: list[str], outcome: str
) -> None:
    if outcome == "COMPLETE":
        lab.forensics_account = {
            "account_id": "333333333333",
            "kms_key_arn": "arn:aws:kms:us-east-1:333333333333:key/k",
        }
    lab.build()
    lab.options["finish"] = "terminate"
    run_terminate(lab, contained(lab, copies={"outcome": outcome, "detail": "", "state": {}}))
    assert state_of(lab) == "terminated"


def test_not_terminated_when_not_contained(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = lab.plan()
    keep_snapshots(lab)
    assert "containment is OPEN" in refusal(lab, target)


def test_not_terminated_when_its_owner_protected_it_before(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    lab.see("ec2").modify_instance_attribute(
        InstanceId=lab.ids["instance"], DisableApiTermination={"Value": True}
    )
    assert "its owner had protected it against termination before the incident" in refusal(
        lab, contained(lab)
    )
    assert protected(lab)


def test_not_terminated_where_instance_storage_would_be_lost(lab: Lab, readable: list[str]) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "terminate"
    assert "whose data a terminate destroys" in refusal(lab, contained(lab))


@pytest.mark.parametrize(("keeps", "flags"), [(True, [False, False]), (False, [True, True])])
def test_volumes_stay_unless_that_is_switched_off(
    lab: Lab, readable: list[str], keeps: bool, flags: list[bool]
) -> None:
    lab.build()
    lab.options |= {"finish": "terminate", "terminate_keeps_volumes": keeps}
    target = contained(lab)
    seen: list[list[bool]] = []

    def look() -> None:
        got = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])["Reservations"][
            0
        ]["Instances"][0]
        seen.append(
            [mapping["Ebs"]["DeleteOnTermination"] for mapping in got["BlockDeviceMappings"]]
        )

    lab.hooks.append(("TerminateInstances", look))
    run_terminate(lab, target)
    assert seen == [flags]


def test_a_refused_termination_is_failed_with_the_command(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = contained(lab)
    lab.fail("TerminateInstances", "OperationNotPermitted")
    run_terminate(lab, target)
    line = lab.stored_record()["actions"]["terminate_instance"]
    assert line["status"] == "FAILED"
    assert "aws ec2 terminate-instances" in line["detail"]
    assert state_of(lab) == "running"


def test_gone_before_it_was_asked_for_is_not_ours(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = contained(lab)
    ec2 = lab.see("ec2")
    ec2.modify_instance_attribute(
        InstanceId=lab.ids["instance"], DisableApiTermination={"Value": False}
    )
    ec2.terminate_instances(InstanceIds=[lab.ids["instance"]])
    run_terminate(lab, target)
    assert lab.actions()["terminate_instance"] == "ALREADY"
    assert "TerminateInstances" not in lab.operations()


def test_sessions_that_could_not_be_denied_outlive_the_instance(
    lab: Lab, readable: list[str]
) -> None:
    """GONE would tell nobody that credentials which were taken from it work on."""
    lab.build()
    lab.options |= {"finish": "terminate", "protect_instance": False}
    lab.fail("PutRolePolicy", "LimitExceeded")
    lab.fail("CreatePolicy", "LimitExceeded")
    target = lab.plan()
    assert lab.respond(target).status is Status.PARTIAL
    checks = [check.record() for check in lab.ids["checks"].values()]
    lab.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        checks=checks,
    )
    keep_snapshots(lab)
    run_terminate(lab, target._replace(scope={}))
    assert state_of(lab) == "terminated"
    stored = lab.stored_record()
    assert stored["status"] == Status.PARTIAL
    assert "credentials may have been taken: revoke_sessions: not sessions of" in stored["verdict"]
    assert lab.verify(target).status is Status.PARTIAL
