"""What finishes: stopping only where it loses nothing, and terminating only what is contained,
kept and readable.
"""

from __future__ import annotations

import botocore.session
import pytest
from botocore.stub import Stubber
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from guardduty_response.playbooks.ec2_instance import terminate

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, Lab


def state_of(lab: Lab) -> str:
    got = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])
    return str(got["Reservations"][0]["Instances"][0]["State"]["Name"])


# -- finish ----------------------------------------------------------------------------------------


def kept(lab: Lab, **parts: object) -> None:
    """The snapshot set as the collector's part leaves it in the ledger: made by EC2 itself,
    complete.
    """
    made = lab.see("ec2").create_snapshots(
        InstanceSpecification={"InstanceId": lab.ids["instance"]}
    )["Snapshots"]
    ids = [snapshot["SnapshotId"] for snapshot in made]
    state = {"outcome": "COMPLETE", "detail": "one snapshot set", "state": {"ids": ids}}
    for name, part in {"snapshots": state, **parts}.items():
        lab.record.evidence(INCIDENT, "ec2_instance", lab.ids["instance"], name, part)  # type: ignore[arg-type]
    lab.record.action(
        INCIDENT, "ec2_instance", lab.ids["instance"], "snapshot", "DONE", "one snapshot set"
    )


def contained(lab: Lab, evidence: bool = True, **parts: object) -> Target:
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    if evidence:
        kept(lab, **parts)
    # The machine hands finish a target without its scope.
    return Target(**{**target.payload(), "scope": {}})


def test_none_stops_nothing(lab: Lab) -> None:
    lab.build()
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert lab.actions()["stop_instance"] == "SKIPPED"


def test_stopped_when_contained_and_snapshots_complete(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options["finish"] = "stop"
    steps = lab.wait(ec2_instance.finish, contained(lab))
    assert [step.done for step in steps] == [False, True]
    assert state_of(lab) == "stopped"
    assert lab.actions()["stop_instance"] == "DONE"
    assert lab.operations().count("StopInstances") == 1


def test_not_stopped_before_the_snapshots(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    lab.wait(ec2_instance.finish, contained(lab, evidence=False))
    assert state_of(lab) == "running"
    line = lab.ledger()["actions"]["stop_instance"]
    assert line["status"] == "SKIPPED"
    assert "snapshot set is not complete" in line["detail"]
    _, _, timeline = _events(lab)
    assert [event["detail"] for event in timeline if event["event"] == "task"]


def _events(lab: Lab) -> tuple[dict[str, object], list[dict[str, object]], list[dict[str, object]]]:
    lab.record.open(
        {
            "incident_id": INCIDENT,
            "execution": "e",
            "mode": "auto",
            "severity": 8.0,
            "config_sha256": "",
        }
    )
    return lab.record.read(INCIDENT)


def test_not_stopped_when_not_contained(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = lab.plan()
    kept(lab)
    lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "running"
    assert "containment is OPEN" in lab.ledger()["actions"]["stop_instance"]["detail"]


def test_not_stopped_where_instance_storage_would_be_lost(lab: Lab) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "stop"
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert "whose data a stop destroys" in lab.ledger()["actions"]["stop_instance"]["detail"]


def test_not_stopped_while_its_group_would_terminate_it(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options |= {"finish": "stop", "auto_scaling": "none"}
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert (
        "Auto Scaling group web would terminate it"
        in lab.ledger()["actions"]["stop_instance"]["detail"]
    )


def test_a_refused_stop_is_failed_with_the_command(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = contained(lab)
    lab.fail("StopInstances", "OperationNotPermitted")
    lab.wait(ec2_instance.finish, target)
    line = lab.ledger()["actions"]["stop_instance"]
    assert line["status"] == "FAILED"
    assert "aws ec2 stop-instances" in line["detail"]


# -- what finishing would lose, told before --------------------------------------------------------


def told(lab: Lab) -> str:
    lab.plan()
    return str(lab.ids["planned"].consequences)


def test_nothing_is_lost_and_nothing_told(lab: Lab) -> None:
    lab.build()
    assert told(lab) == ""
    lab.options["finish"] = "stop"
    assert told(lab) == ""


def test_instance_storage_is_told_before(lab: Lab) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "stop"
    assert (
        "m5d.large has instance-store volumes, which no snapshot keeps: stop is left to a person"
        in told(lab)
    )


def test_spot_is_told_before(lab: Lab) -> None:
    """moto launches a Spot instance as an ordinary one: its lifecycle is set as EC2 would say
    it.
    """
    lab.build()
    lab.options["finish"] = "stop"
    spot(lab)
    text = told(lab)
    assert "EC2 may reclaim it at any moment" in text
    assert "EC2 refuses to stop the instance of a one-time Spot request" in text


def spot(lab: Lab) -> None:
    from moto.ec2.models import ec2_backends

    ec2_backends["222222222222"]["us-east-1"].get_instance(lab.ids["instance"]).lifecycle = "spot"


def test_terminating_is_told_before(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    assert "terminating cannot be undone" in told(lab)
    assert "terminate_instance" in lab.ids["planned"].actions


# -- terminate -------------------------------------------------------------------------------------


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

    def client(self: clients.Session, service: str) -> object:
        if service != "ebs":
            return original(self, service)
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


def finished(lab: Lab, target: Target) -> list[StepResult]:
    def step(context: Context, found: Target) -> StepResult:
        return terminate.terminate(context, found)

    return lab.wait(step, target)


def test_terminated_when_contained_kept_and_readable(lab: Lab, readable: list[str]) -> None:
    lab.build(asg=True)
    lab.options["finish"] = "terminate"
    target = contained(lab)
    assert protected(lab)
    steps = finished(lab, target)
    assert [step.done for step in steps] == [False, True]
    assert state_of(lab) == "terminated"
    ledger = lab.ledger()
    assert ledger["actions"]["terminate_instance"]["status"] == "DONE"
    assert ledger["status"] == "GONE"
    ids = ledger["evidence"]["snapshots"]["state"]["ids"]
    assert sorted(set(readable)) == sorted(ids)
    assert lab.operations().count("TerminateInstances") == 1


def test_off_terminates_nothing(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    finished(lab, contained(lab))
    assert state_of(lab) == "running"
    assert lab.actions()["terminate_instance"] == "SKIPPED"


def _left(lab: Lab, target: Target) -> str:
    finished(lab, target)
    assert state_of(lab) == "running"
    line = lab.ledger()["actions"]["terminate_instance"]
    assert line["status"] == "SKIPPED"
    assert "aws ec2 terminate-instances" in line["detail"]
    assert [event["detail"] for event in _events(lab)[2] if event["event"] == "task"]
    return str(line["detail"])


def test_not_terminated_without_a_snapshot(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    assert "snapshot set is not complete" in _left(lab, contained(lab, evidence=False))


def test_not_terminated_when_a_snapshot_cannot_be_read(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    readable.append("refuse")
    assert "cannot be read (AccessDeniedException: kms:Decrypt)" in _left(lab, contained(lab))


def test_not_terminated_when_a_snapshot_is_gone(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = contained(lab)
    [id, *_] = lab.ledger()["evidence"]["snapshots"]["state"]["ids"]
    lab.see("ec2").delete_snapshot(SnapshotId=id)
    assert f"{id} is missing" in _left(lab, target)


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
    copies = (
        {}
        if outcome == "missing"
        else {"copies": {"outcome": outcome, "detail": "the key is refused", "state": {}}}
    )
    said = (
        f"for the forensics account are {outcome}"
        f" ({'never asked for' if outcome == 'missing' else 'the key is refused'})"
    )
    assert said in _left(lab, contained(lab, **copies))
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
    finished(lab, contained(lab, copies={"outcome": outcome, "detail": "", "state": {}}))
    assert state_of(lab) == "terminated"


def test_not_terminated_when_not_contained(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = lab.plan()
    kept(lab)
    assert "containment is OPEN" in _left(lab, target)


def test_not_terminated_when_its_owner_protected_it_before(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    lab.see("ec2").modify_instance_attribute(
        InstanceId=lab.ids["instance"], DisableApiTermination={"Value": True}
    )
    assert "its owner had protected it against termination before the incident" in _left(
        lab, contained(lab)
    )
    assert protected(lab)


def test_not_terminated_where_instance_storage_would_be_lost(lab: Lab, readable: list[str]) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "terminate"
    assert "whose data a terminate destroys" in _left(lab, contained(lab))


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
    finished(lab, target)
    assert seen == [flags]


def test_a_refused_termination_is_failed_with_the_command(lab: Lab, readable: list[str]) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    target = contained(lab)
    lab.fail("TerminateInstances", "OperationNotPermitted")
    finished(lab, target)
    line = lab.ledger()["actions"]["terminate_instance"]
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
    finished(lab, target)
    assert lab.actions()["terminate_instance"] == "ALREADY"
    assert "TerminateInstances" not in lab.operations()
