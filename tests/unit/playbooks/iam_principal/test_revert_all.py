"""What a principal did is undone, what cannot be is told, and it is all as it was after a
restore: the whole of it at once.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident import summary
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal.eradicate import reversal, reversal_table, run

from tests.unit.lambda_world import World
from tests.unit.playbooks.iam_principal.remediate_lab import (
    DENY_ALL,
    INCIDENT,
    MEMBER,
    PREFIX,
    REGION,
    Lab,
)

Json = dict[str, Any]


@pytest.fixture
def lab(world: World, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(world, monkeypatch)


def spree(lab: Lab) -> Json:
    """A user, a key of it, an instance, an open rule, a stopped trail, and something that cannot
    be undone.
    """
    ec2, trail = lab.see("ec2"), lab.see("cloudtrail")
    lab.see("s3").create_bucket(
        Bucket="logs-of-the-account", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    trail.create_trail(Name="everything", S3BucketName="logs-of-the-account")
    trail.start_logging(Name="everything")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    lab.does("iam", "create_user", UserName="mallory")
    key = lab.does("iam", "create_access_key", UserName="mallory")["AccessKey"]["AccessKeyId"]
    made = lab.does("ec2", "run_instances", ImageId="ami-12c6146b", MinCount=1, MaxCount=1)[
        "Instances"
    ][0]["InstanceId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "ssh"}],
    }
    lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[rule])
    lab.does("cloudtrail", "stop_logging", Name="everything")
    lab.does("ec2", "create_vpc", CidrBlock="10.9.0.0/16")
    return {"group": group, "instance": made, "key": key, "rule": rule}


def picture(lab: Lab, made: Json) -> Json:
    iam, ec2 = lab.see("iam"), lab.see("ec2")
    keys = iam.list_access_keys(UserName="mallory")["AccessKeyMetadata"]
    return {
        "policies": [
            one["PolicyArn"]
            for one in iam.list_attached_user_policies(UserName="mallory")["AttachedPolicies"]
        ],
        "keys": {one["AccessKeyId"]: one["Status"] for one in keys},
        "instance": ec2.describe_instances(InstanceIds=[made["instance"]])["Reservations"][0][
            "Instances"
        ][0]["State"]["Name"],
        "rules": [
            (rule["FromPort"], rule["IpRanges"])
            for rule in ec2.describe_security_groups(GroupIds=[made["group"]])["SecurityGroups"][0][
                "IpPermissions"
            ]
        ],
        "logging": lab.see("cloudtrail").get_trail_status(Name="everything")["IsLogging"],
    }


def test_a_spree_is_undone_and_what_is_left_is_told(lab: Lab) -> None:
    made = spree(lab)
    step = lab.remediate()
    assert picture(lab, made) == {
        "policies": [DENY_ALL],
        "keys": {made["key"]: "Inactive"},
        "instance": "stopped",
        "rules": [],
        "logging": True,
    }
    [left] = lab.left
    assert "CreateVpc by user/alice from 198.51.100.7" in left
    assert f"aws ec2 delete-vpc --vpc-id vpc-{left.partition('--vpc-id vpc-')[2]}" in left
    assert left.endswith(f"--region {REGION}")
    assert set(lab.lines().values()) == {"DONE"}
    kept = lab.kept()
    assert (kept["outcome"], kept["detail"], step.next_step) == (
        "COMPLETE",
        "5 reverted, 1 left for people",
        "",
    )
    assert kept["task"] and kept["objects"][0]["key"] in kept["task"]
    rows = json.loads(
        lab.world.s3.get_object(Bucket=lab.bucket, Key=kept["objects"][0]["key"])["Body"].read()
    )
    assert [row["status"] for row in rows].count("DONE") == 5 and len(rows) == 6
    tasks = summary.open_tasks({"status": "CONTAINED"}, [lab.ledger()])
    assert any(kept["task"] in task for task in tasks)


def test_repeated_delivery_changes_nothing(lab: Lab) -> None:
    made = spree(lab)
    lab.remediate()
    after, ledger = picture(lab, made), lab.ledger()["actions"]
    lab.calls.clear()
    lab.once()
    assert lab.changed() == [], "a round that was handled is not handled again"
    state = {**lab.kept("remediation"), "state": {}, "objects": []}
    # as if the call had died before it wrote
    lab.record.evidence(INCIDENT, lab.kind, lab.name, "remediation", state)
    lab.once()
    assert (lab.changed(), picture(lab, made)) == ([], after)
    assert lab.kept()["detail"] == "5 reverted, 1 left for people", (
        "what was reverted earlier counts as that"
    )
    lines = lab.ledger()["actions"]
    assert all(
        lines[name] == line for name, line in ledger.items() if name.startswith("revert/")
    ), "with its time and request id"


def test_restored_it_is_as_it_was_but_for_what_is_named(lab: Lab) -> None:
    made = spree(lab)
    before = picture(lab, made)
    lab.remediate()
    got = lab.restore()
    assert picture(lab, made) == {**before, "logging": True}
    assert got.status is Status.RESTORE_PARTIAL
    [text] = got.not_restored
    assert (
        "trail everything was stopped and logs again" in text
        and "aws cloudtrail stop-logging --name everything" in text
    )
    assert lab.ledger()["actions"]["restore_revert"]["status"] == "DONE"
    lab.calls.clear()
    assert lab.restore().status is Status.RESTORE_PARTIAL
    assert (lab.changed(), picture(lab, made)) == ([], {**before, "logging": True})


def test_what_changed_since_is_not_restored(lab: Lab) -> None:
    made = spree(lab)
    lab.remediate()
    lab.see("ec2").terminate_instances(InstanceIds=[made["instance"]])
    lab.see("iam").delete_access_key(UserName="mallory", AccessKeyId=made["key"])
    got = lab.restore()
    assert f"{made['instance']} no longer exists" in str(got.not_restored)
    assert f"access key {made['key']} of user mallory no longer exists" in str(got.not_restored)
    assert picture(lab, made)["policies"] == []


# -- rounds, bounds, failures ----------------------------------------------------------------------


def test_a_second_round_comes_after_the_first(lab: Lab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    step = lab.remediate(more=True)
    assert (step.next_step, lab.kept()["state"]["handled"]) == ("collect", 1)
    lab.does("iam", "create_user", UserName="trudy")
    lab.calls.clear()
    step = lab.remediate()
    assert (step.next_step, lab.kept()["state"]["handled"], lab.kept()["detail"]) == (
        "",
        2,
        "2 reverted, 0 left for people",
    )
    users = {params["UserName"] for name, params in lab.calls if name == "AttachUserPolicy"}
    assert users == {"trudy"}, "the first round's changes are not dealt with again"
    assert "CreateVpc" not in str(lab.left)


def test_in_pieces(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PIECE", 2)
    monkeypatch.setattr(run, "PIECES", 1)
    for number in range(5):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    lab.list()
    steps = [lab.once()]
    while not steps[-1].done:
        steps.append(lab.once())
    assert [step.done for step in steps] == [False, False, True]
    assert lab.kept()["detail"] == "5 reverted, 0 left for people"
    assert len(lab.kept()["objects"]) == 3
    assert len([name for name, _ in lab.calls if name == "AttachUserPolicy"]) == 5


def test_time_is_up_between_two_changes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 40))
    monkeypatch.setattr(run.time, "monotonic", lambda: next(clock))
    for number in range(4):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    lab.list()
    assert not lab.once().done
    assert 0 < len([name for name, _ in lab.calls if name == "AttachUserPolicy"]) < 4
    lab.events = []
    while not lab.once().done:
        pass
    assert lab.kept()["detail"] == "4 reverted, 0 left for people"


def test_the_record_has_room_for_so_many(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reversal, "MOST_REVERTS", 2)
    monkeypatch.setattr(reversal, "MOST_LINES", 3)
    for number in range(5):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    lab.remediate()
    assert lab.kept()["detail"] == "2 reverted, 3 left for people"
    assert (
        len(lab.lines()) == 1
        and len([name for name in lab.ledger()["actions"] if name.startswith("revert/")]) == 3
    )
    assert all("aws iam attach-user-policy" in text for text in lab.left)


def test_many_sentences_do_not_fill_the_record(lab: Lab) -> None:
    for number in range(300):
        lab.happened("ec2", "CreateTags", {"n": number, "long": "x" * 1000})
    lab.remediate()
    assert len(lab.left) == run.MOST_LEFT and all(len(text) <= 400 for text in lab.left)
    assert len(json.dumps(lab.ledger(), default=str)) < 100_000
    assert lab.kept()["detail"] == "0 reverted, 300 left for people"
    rows = [
        row
        for one in lab.kept()["objects"]
        for row in json.loads(
            lab.world.s3.get_object(Bucket=lab.bucket, Key=one["key"])["Body"].read()
        )
    ]
    assert len(rows) == 300 and all(f"AttributeValue={row['id']}" in row["by_hand"] for row in rows)


def test_credentials_first_and_the_newest_first(lab: Lab) -> None:
    for name in ("mallory", "trudy"):
        lab.does("ec2", "run_instances", ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
        lab.does("iam", "create_user", UserName=name)
    lab.remediate()
    assert lab.changed() == [
        "AttachUserPolicy",
        "AttachUserPolicy",
        "StopInstances",
        "StopInstances",
    ]
    assert [params["UserName"] for name, params in lab.calls if name == "AttachUserPolicy"] == [
        "trudy",
        "mallory",
    ]


def test_recorded_before_it_is_changed(lab: Lab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    seen: list[Json] = []
    lab.hooks["AttachUserPolicy"] = lambda _: seen.append(lab.ledger()["before"])
    lab.remediate()
    [[was]] = [list(one.values()) for one in seen]
    assert (was["what"], was["user"], was["attached"]) == ("user", "mallory", False)


def test_what_is_not_seen_on_reading_back_is_judged_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM is eventually consistent: an early read may show how it was."""
    from guardduty_response.playbooks.iam_principal import resource_state

    lab.does("iam", "create_user", UserName="mallory")
    lab.list()
    read, late = resource_state.attached, [True]
    monkeypatch.setattr(resource_state, "attached", lambda *a: [] if late[0] else read(*a))
    assert not lab.once().done
    assert lab.lines() == {}
    late[0] = False
    assert lab.once().done
    assert (lab.lines(), lab.kept()["detail"]) == (
        {"CreateUser": "DONE"},
        "1 reverted, 0 left for people",
    )
    assert lab.changed().count("AttachUserPolicy") == 1
    lab.calls.clear()


def test_what_is_never_seen_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardduty_response.playbooks.iam_principal import resource_state

    lab.does("iam", "create_user", UserName="mallory")
    monkeypatch.setattr(resource_state, "attached", lambda *_: [])
    lab.remediate()
    assert (
        lab.lines() == {"CreateUser": "FAILED"} and "not to be seen on reading back" in lab.left[0]
    )


def test_one_failure_touches_no_other(lab: Lab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.does("iam", "create_user", UserName="trudy")
    lab.fail("AttachUserPolicy", "AccessDenied", times=1)
    lab.remediate()
    kept = lab.kept()
    assert (kept["outcome"], kept["detail"]) == ("PARTIAL", "1 reverted, 1 left for people")
    [left] = lab.left
    assert (
        "failed (AccessDenied: injected)" in left
        and "aws iam attach-user-policy --policy-arn" in left
    )
    assert {
        one["status"] for name, one in lab.ledger()["actions"].items() if name.startswith("revert/")
    } == {"DONE", "FAILED"}


def test_throttled_is_asked_again(lab: Lab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.does("ec2", "create_vpc", CidrBlock="10.9.0.0/16")
    lab.fail("AttachUserPolicy", "ThrottlingException", times=1)
    lab.list()
    step = lab.once()
    assert (step.done, step.wait_seconds) == (False, run.WAIT_SECONDS)
    assert lab.once().done
    assert lab.lines() == {"CreateUser": "DONE"}


def test_when_nothing_goes_on_the_machine_repeats(lab: Lab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.fail("AttachUserPolicy", "ThrottlingException")
    lab.list()
    for _ in range(run.TRIES):
        with pytest.raises(Exception, match="ThrottlingException"):
            lab.once()
    assert lab.once().done, "asked often enough"
    assert lab.kept()["outcome"] == "PARTIAL"
    assert "ThrottlingException" in lab.left[0]


def test_no_role_no_thousand_calls(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardduty_response.errors import RoleUnavailable

    class Shut:
        def client(self, service: str) -> Any:
            raise RoleUnavailable(
                f"cannot assume {PREFIX}-remediator-iam-principal in account {MEMBER}"
            )

    for number in range(3):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    asked: list[str] = []
    monkeypatch.setattr(lab, "assume", lambda *_: asked.append("") or Shut())
    lab.remediate()
    assert len(asked) == 1 and lab.kept()["detail"] == "0 reverted, 3 left for people"
    assert all(
        "cannot assume" in text and "aws iam attach-user-policy" in text for text in lab.left
    )


# -- what is only told -----------------------------------------------------------------------------


def test_kinds_that_are_off_are_told_with_their_command(lab: Lab) -> None:
    lab.options["remediate"] = ["trails"]
    made = spree(lab)
    before = picture(lab, made)
    lab.remediate()
    assert picture(lab, made) == {**before, "logging": True}
    assert len(lab.left) == 5
    text = " ".join(lab.left)
    for hand in (
        f"aws iam attach-user-policy --policy-arn {DENY_ALL} --user-name mallory",
        f"--access-key-id {made['key']}",
        f"aws ec2 stop-instances --instance-ids {made['instance']}",
        "aws ec2 revoke-security-group-ingress --group-id",
        "users is not in remediate",
    ):
        assert hand in text
    assert set(lab.lines()) == {"StopLogging"}, "no line for what was not tried"


def test_sign_ins_and_secrets_read_are_noted(lab: Lab) -> None:
    lab.happened("signin", "ConsoleLogin", {})
    lab.happened("sts", "AssumeRole", {"roleArn": f"arn:aws:iam::{MEMBER}:role/admin"})
    lab.happened("secretsmanager", "GetSecretValue", {"secretId": "db"})
    lab.remediate()
    assert lab.left == [] and lab.kept()["task"] == ""
    noted = lab.kept()["state"]["noted"]
    assert [text.split()[1] for text in noted] == ["GetSecretValue", "AssumeRole", "ConsoleLogin"]
    assert lab.kept()["detail"] == "0 reverted, 0 left for people, 3 worth knowing"


def test_nothing_listed(lab: Lab) -> None:
    assert lab.once().done
    entry = {
        "outcome": "FAILED",
        "detail": "",
        "objects": [],
        "task": "",
        "state": {"changes": [], "listed": 0},
    }
    lab.record.evidence(INCIDENT, lab.kind, lab.name, "actions", entry)
    assert lab.once().done
    assert lab.kept()["outcome"] == "PARTIAL" and "could not be listed" in lab.kept()["detail"]


def test_listing_switched_off(lab: Lab) -> None:
    entry = {"outcome": "SKIPPED", "detail": "", "objects": [], "task": "", "state": {}}
    lab.record.evidence(INCIDENT, lab.kind, lab.name, "actions", entry)
    assert lab.once().done
    assert lab.kept() == {}


def test_what_a_role_session_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(world, monkeypatch, kind="role_session", name="app/i-0123456789abcdef0")
    made = spree(lab)
    before = picture(lab, made)
    lab.remediate()
    assert lab.kept()["detail"] == "5 reverted, 1 left for people"
    assert lab.restore().status is Status.RESTORE_PARTIAL
    assert picture(lab, made) == {**before, "logging": True}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"id": 1, "name": "x", "source": "y"},
        "text",
        None,
        {"id": "a", "name": "b", "source": "iam", "parameters": "no", "response": [1]},
        {
            "id": "a",
            "name": "CreateAccessKey",
            "source": "iam.amazonaws.com",
            "account": "222222222222",
        },
    ],
)
def test_what_is_no_change_stops_nothing(lab: Lab, broken: Any) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.events.append(broken)
    lab.remediate()
    assert lab.lines()["CreateUser"] == "DONE"


def test_every_kind_of_the_option_undoes_something() -> None:
    from tests.unit.playbooks.iam_principal.remediate_lab import KINDS

    assert {one.kind for one in reversal_table.REVERTS.values()} == set(KINDS)
