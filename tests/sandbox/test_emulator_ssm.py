"""Systems Manager in the sandbox: a shared document runs for real, under enforced IAM."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import seed
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, MEMBER, Identity, allow
from tests.sandbox.ssm_helpers import URL, code, ended, send, shown
from tests.support.patience import until

Json = dict[str, Any]
Make = Callable[..., seed.Victim]


@pytest.mark.smoke
def test_instances_are_managed(aws: Aws, victim: Make) -> None:
    ssm = aws.client("ssm")

    def ping(id: str) -> list[str]:
        found = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [id]}])[
            "InstanceInformationList"
        ]
        return [f"{instance['PlatformType']} {instance['PingStatus']}" for instance in found]

    assert ping(victim().instance) == ["Linux Online"]
    assert ping(victim(tags={"sandbox:ssm": "offline"}).instance) == ["Linux ConnectionLost"]
    assert ping(victim(stopped=True).instance) == ["Linux ConnectionLost"]
    assert ping(victim(tags={"sandbox:ssm": "none"}).instance) == []


def test_a_command_runs_its_script_and_shows_how_it_goes(
    aws: Aws, victim: Make, document: Callable[..., str]
) -> None:
    found = victim()
    arn = document(
        "#!/bin/sh\necho \"out $TMPDIR\"; env | sort; echo err >&2; sleep 1; echo '{{ PlanUrl }}' |"
        " wc -c; exit 0"
    )
    command = send(aws, found.instance, arn, Comment="for a test")
    assert shown(aws, command, found.instance)["Status"] == "Pending"

    def begun() -> str:
        status = str(shown(aws, command, found.instance)["Status"])
        return "" if status == "Pending" else status

    assert until(begun, "the command has begun") == "InProgress"
    invocation = ended(aws, command, found.instance)
    assert invocation["Status"] == "Success"
    assert invocation["ResponseCode"] == 0
    assert invocation["StandardErrorContent"] == "err\n"
    out = invocation["StandardOutputContent"]
    assert "AWS" not in out and "HOME" not in out, "none of the sandbox's environment"
    assert out.rstrip().endswith(str(len(URL) + 1)), "the parameter stands in the script"
    assert not Path(out.split("out ")[1].split()[0]).exists(), "its directory is removed"
    listed = aws.client("ssm").list_commands(InstanceId=found.instance)["Commands"]
    assert [(item["CommandId"], item["Comment"], item["Status"]) for item in listed] == [
        (command, "for a test", "Success")
    ]
    invocations = aws.client("ssm").list_command_invocations(CommandId=command)[
        "CommandInvocations"
    ]
    assert [invocation["Status"] for invocation in invocations] == ["Success"]


def test_a_script_that_fails_or_takes_too_long(
    aws: Aws, victim: Make, document: Callable[..., str]
) -> None:
    found = victim()
    failing = send(aws, found.instance, document("exit 3"))
    slow = send(aws, found.instance, document("sleep 300 & sleep 300", limit=1))
    invocation = ended(aws, failing, found.instance)
    assert invocation["Status"] == "Failed"
    assert invocation["ResponseCode"] == 3
    assert ended(aws, slow, found.instance)["Status"] == "TimedOut"


def test_a_cancelled_command_ends_all_it_started(
    aws: Aws, victim: Make, document: Callable[..., str], tmp_path: Path
) -> None:
    found = victim()
    beat = tmp_path / "beat"
    arn = document(
        f"timeout 60 sh -c 'while :; do date +%s%N >>{beat}; sleep 0.1; done' & sleep 60"
    )
    command = send(aws, found.instance, arn)
    until(beat.exists, "the script has begun")
    aws.client("ssm").cancel_command(CommandId=command)
    assert ended(aws, command, found.instance)["Status"] == "Cancelled"
    time.sleep(0.5)
    last = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == last


def test_faults_by_tag(aws: Aws, victim: Make, document: Callable[..., str]) -> None:
    arn = document("echo ran")
    hanging = victim(tags={"sandbox:ssm": "hang"})
    failing = victim(tags={"sandbox:ssm": "fail"})
    offline = victim(tags={"sandbox:ssm": "offline"})
    unmanaged = victim(tags={"sandbox:ssm": "none"})
    waits, fails, never = (
        send(aws, target.instance, arn) for target in (hanging, failing, offline)
    )
    invocation = ended(aws, fails, failing.instance)
    assert invocation["Status"] == "Failed"
    assert invocation["StandardOutputContent"] == ""
    assert code(lambda: send(aws, unmanaged.instance, arn)) == "InvalidInstanceId"
    time.sleep(1)
    assert shown(aws, waits, hanging.instance)["Status"] == "InProgress"
    assert shown(aws, never, offline.instance)["Status"] == "Pending"
    aws.client("ssm").cancel_command(CommandId=waits)
    assert shown(aws, waits, hanging.instance)["Status"] == "Cancelled"


def test_quarantine_cuts_the_agent_off(
    aws: Aws, victim: Make, document: Callable[..., str], tmp_path: Path
) -> None:
    found = victim()
    ec2 = aws.client("ec2")
    beat = tmp_path / "beat"
    command = send(
        aws, found.instance, document(f"while :; do date +%s%N >>{beat}; sleep 0.1; done")
    )
    until(beat.exists, "the script has begun")
    group = ec2.create_security_group(
        GroupName=f"q-{found.instance}", Description="q", VpcId=found.vpc
    )["GroupId"]
    rules = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0][
        "IpPermissionsEgress"
    ]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rules)
    for interface in found.interfaces:
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    time.sleep(1)
    last = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == last
    assert shown(aws, command, found.instance)["Status"] == "InProgress", "nobody hears of it"


def test_a_document_must_be_shared_and_in_the_region(
    aws: Aws, victim: Make, document: Callable[..., str]
) -> None:
    found = victim()
    private = document("true", shared=False)
    assert code(lambda: send(aws, found.instance, private)) == "InvalidDocument"
    elsewhere = document("true").replace(aws.region, "eu-west-1")
    assert code(lambda: send(aws, found.instance, elsewhere)) == "InvalidDocument"
    assert (
        code(lambda: send(aws, found.instance, document("true").rsplit("/", 1)[-1]))
        == "InvalidDocument"
    )


def test_parameters_meet_the_pattern(aws: Aws, victim: Make, document: Callable[..., str]) -> None:
    found = victim()
    arn = document("true")
    for bad in (
        "http://127.0.0.1:1/plan.txt?x'; id; '",
        "https://elsewhere.example/b/plan.txt?x",
        "",
    ):
        assert code(functools.partial(send, aws, found.instance, arn, bad)) == "InvalidParameters"


def test_sending_is_checked_on_document_and_instance(
    aws: Aws, identity: Identity, victim: Make, document: Callable[..., str]
) -> None:
    found = victim()
    other = victim()
    arn = document("true")
    instance = f"arn:aws:ec2:{aws.region}:{MEMBER}:instance/{found.instance}"
    send_ = {"DocumentName": arn, "Parameters": {"PlanUrl": [URL]}}
    may = identity.client(
        "ssm", ALLOW_ALL, session_policy=allow("ssm:SendCommand", [instance, arn])
    )
    may.send_command(InstanceIds=[found.instance], **send_)
    assert (
        code(lambda: may.send_command(InstanceIds=[other.instance], **send_))
        == "AccessDeniedException"
    )
    for missing in ([instance], [arn]):
        narrow = identity.client("ssm", allow("ssm:SendCommand", missing))
        call = functools.partial(narrow.send_command, InstanceIds=[found.instance], **send_)
        assert code(call) == "AccessDeniedException"
    shell = identity.client("ssm", allow("ssm:SendCommand", [instance, arn]))
    anything = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["id"]}}
    assert (
        code(lambda: shell.send_command(InstanceIds=[found.instance], **anything))
        == "AccessDeniedException"
    )


# -- the collection itself -------------------------------------------------------------------------
