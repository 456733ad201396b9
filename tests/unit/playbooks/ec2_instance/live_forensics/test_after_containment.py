"""Live forensics after containment, where a group and a profile allow it, and memory in parts."""

from __future__ import annotations

from typing import Any, cast

import pytest
from guardduty_response.decision.configuration import Forensics
from guardduty_response.playbooks.ec2_instance.evidence import (
    forensics,
    forensics_conditions,
    uploads,
)

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX
from tests.unit.playbooks.ec2_instance.live_forensics.forensics_lab import (
    BUCKET,
    SECTIONS,
    ForensicsLab,
    key_of,
)
from tests.unit.playbooks.ec2_instance.shared_network_lab import attach_trunk

Json = dict[str, Any]


# -- memory ----------------------------------------------------------------------------------------


def with_memory(lab: ForensicsLab, location: str = "https://example.org/avml") -> None:
    lab.settings["memory"]["linux"] = {"location": location, "sha256": "0" * 64}


def send_parts(
    lab: ForensicsLab, numbers: tuple[int, ...], state: str = "ok", size: int = 5 * 1024 * 1024
) -> None:
    """What the instance would do with the plan's UploadPart URLs, by the same upload id."""

    def deliver(command: Json) -> None:
        lab.upload()(command)
        [kept] = [lab.stored_record()["evidence"]["forensics"]["state"]["uploads"]]
        key = f"incidents/{INCIDENT}/{kept['folder']}/memory.lime"
        for number in numbers:
            lab.s3.upload_part(
                Bucket=BUCKET,
                Key=key,
                UploadId=kept["upload_id"],
                PartNumber=number,
                Body=b"m" * size,
            )
        [index] = [stored for stored in lab.stored() if stored.endswith("index.tsv")]
        text = lab.s3.get_object(Bucket=BUCKET, Key=index)["Body"].read().decode()
        line = f"memory.lime\t{size * len(numbers)}\t{'a' * 64}\t{len(numbers)}\t{state}"
        lab.s3.put_object(
            Bucket=BUCKET,
            Key=index,
            Body=f"{text}\n{line}\n".encode(),
        )

    lab.agent.on_send = deliver


def uploads_open(lab: ForensicsLab) -> int:
    return len(lab.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


def test_memory_comes_in_parts(lab: ForensicsLab) -> None:
    with_memory(lab)
    send_parts(lab, (1, 2))
    part = lab.finish()
    assert part.outcome == "COMPLETE", part.detail
    [dump] = [stored for stored in part.objects if stored["what"] == "memory"]
    assert dump["bytes"] == 10 * 1024 * 1024 and dump["sha256"] == "a" * 64
    assert lab.s3.head_object(Bucket=BUCKET, Key=dump["key"])["ContentLength"] == dump["bytes"]
    assert "unverified" in part.detail
    assert uploads_open(lab) == 0


def test_memory_up_to_the_first_gap(lab: ForensicsLab) -> None:
    with_memory(lab)
    send_parts(
        lab,
        (1, 3),
        "lost",
    )
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "memory.lime: only its first 5242880 bytes arrived" in part.detail
    [dump] = [stored for stored in part.objects if stored["what"] == "memory"]
    assert dump["sha256"] == "", "the instance's hash is of the whole, not of this"
    assert uploads_open(lab) == 0


def test_no_memory_leaves_no_upload_open(lab: ForensicsLab) -> None:
    with_memory(lab)
    lab.agent.on_send = lab.upload()
    part = lab.finish()
    assert part.outcome == "PARTIAL" and "memory.lime: did not arrive" in part.detail
    assert uploads_open(lab) == 0


def test_a_refused_command_leaves_no_upload_open(lab: ForensicsLab) -> None:
    with_memory(lab)
    lab.agent.errors["SendCommand"] = "InvalidDocument"
    lab.finish()
    assert uploads_open(lab) == 0


def test_parts_are_sized_from_the_instance(lab: ForensicsLab) -> None:
    with_memory(lab, "s3://evidence/tools/avml")
    lab.step()
    lines = lab.plan_lines()
    parts = [line for line in lines if line[0] == "memory.lime"]
    [size] = [int(line[2]) for line in lines if line[0] == "@part_bytes"]
    assert size % (1024 * 1024) == 0
    assert len(parts) * size >= 2048 * 1024 * 1024 * 1.1, "a t3.small has 2 GiB"
    assert [int(line[1]) for line in parts] == list(range(1, len(parts) + 1))
    assert all(f"partNumber={line[1]}&" in line[2] for line in parts)
    [tool] = [line[2] for line in lines if line[0] == "@tool"]
    assert key_of(tool) == "tools/avml"


@pytest.mark.parametrize("mib", [512, 2048, 65_536, 786_432, 25_165_824])
def test_at_most_five_hundred_parts(lab: ForensicsLab, mib: int) -> None:
    with_memory(lab)
    settings = cast(Forensics, lab.settings)
    made = uploads.begin(
        lab.target_context,
        "f",
        "Linux",
        settings,
        mib,
    )
    assert made.parts <= 500 and 64 * uploads.MIB <= made.part_bytes <= 5 * 1024 * uploads.MIB
    if mib < 1_000_000:
        assert made.parts * made.part_bytes >= mib * uploads.MIB * 1.05


def test_windows_has_its_own_names(lab: ForensicsLab) -> None:
    lab.agent.platform = "Windows"
    lab.settings["packet_capture_seconds"] = 10
    lab.settings["commands"]["windows"] = ["Get-Date"]
    lab.settings["memory"]["windows"] = {
        "location": "https://example.org/winpmem.exe",
        "sha256": "0" * 64,
    }
    lab.step()
    names = {line[0] for line in lab.plan_lines()}
    assert {"capture.etl", "commands.txt", "memory.raw"} <= names


# -- after -----------------------------------------------------------------------------------------


def contained(
    lab: ForensicsLab, egress: Json | None = None, profile: str = f"{PREFIX}-quarantine-ssm"
) -> str:
    """The instance as containment leaves it: the group of one's own, the SSM-only profile."""
    ec2 = lab.see("ec2")
    group = ec2.create_security_group(
        GroupName="endpoints",
        Description="q",
        VpcId=lab.ids["vpc"],
    )["GroupId"]
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=shown["IpPermissionsEgress"])
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
    }
    rule |= egress or {"UserIdGroupPairs": [{"GroupId": lab.ids["group"]}]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    for interface in lab.groups():
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    if profile != "app":
        [had] = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
        ec2.replace_iam_instance_profile_association(
            AssociationId=had["AssociationId"], IamInstanceProfile={"Name": profile}
        )
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: group}
    lab.settings["when"] = "after"
    return str(group)


def test_after_containment(lab: ForensicsLab) -> None:
    contained(lab)
    lab.agent.on_send = lab.upload()
    assert forensics_conditions.missing_after(lab.target_context) == ("", True)
    first = lab.step()
    assert first.outcome == "RUNNING" and first.wait_seconds == 15
    assert not forensics.waits(lab.stored_record()["evidence"]["forensics"]), "nothing waits for it"
    part = lab.finish()
    assert part.outcome == "COMPLETE", part.detail
    [limit] = [line[2] for line in lab.plan_lines() if line[0] == "@deadline"]
    assert int(limit) == 30 * 60 - 60


def test_after_containment_of_a_container_instance(lab: ForensicsLab) -> None:
    """Which task has which interface is asked for the verdict, not for the agent."""
    attach_trunk(lab, description="")
    contained(lab)
    assert forensics_conditions.missing_after(lab.target_context) == ("", True)


def test_after_without_an_endpoint_only_group(lab: ForensicsLab) -> None:
    lab.settings["when"] = "after"
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE"
    assert "no endpoint-only group" in part.detail and lab.ids["vpc"] in part.detail
    assert lab.agent.calls == []


@pytest.mark.parametrize(
    ("egress", "why"),
    [
        ({"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "more than tcp/443"),
        ({"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "more than tcp/443"),
        (
            {"FromPort": 0, "ToPort": 65535, "UserIdGroupPairs": [{"GroupId": "x"}]},
            "more than tcp/443",
        ),
    ],
)
def test_after_with_a_group_that_lets_more_out(lab: ForensicsLab, egress: Json, why: str) -> None:
    if "UserIdGroupPairs" in egress:
        egress = {**egress, "UserIdGroupPairs": [{"GroupId": lab.ids["group"]}]}
    contained(lab, egress)
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE" and why in part.detail


def test_a_terminated_instance(lab: ForensicsLab) -> None:
    contained(lab)
    lab.see("ec2").terminate_instances(InstanceIds=[lab.ids["instance"]])
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE" and "terminated" in part.detail


def test_a_prefix_list_of_aws_is_an_endpoint() -> None:
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "PrefixListIds": [{"PrefixListId": "pl-1"}],
    }

    def wrong(*lists: str, egress: list[Json] | None = None, **more: list[Json]) -> str:
        egress = [rule] if egress is None else egress
        group = {"GroupId": "sg-1", "IpPermissionsEgress": egress, **more}
        return forensics_conditions.endpoint_only(group, lists)

    assert wrong("pl-1") == ""
    assert "prefix lists of AWS" in wrong("pl-2"), "a customer's may have any addresses"
    assert "lets nothing out" in wrong("pl-1", egress=[])
    assert "lets something in" in wrong("pl-1", IpPermissions=[rule])
    wide = {**rule, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    assert "more than" in wrong("pl-1", egress=[rule, wide])


def test_after_waits_for_the_profile_and_then_says_so(lab: ForensicsLab) -> None:
    contained(lab, profile="app")
    assert lab.step().outcome == "RUNNING", "containment may still be under way"
    part = lab.finish()
    assert part.outcome == "NOT_POSSIBLE"
    assert f"its instance profile is app, not {PREFIX}-quarantine-ssm" in part.detail


def test_after_waits_for_the_agent_to_come_back(lab: ForensicsLab) -> None:
    contained(lab)
    lab.agent.ping = "ConnectionLost"
    assert lab.step().outcome == "RUNNING"
    lab.clock += 60
    lab.agent.ping = "Online"
    lab.agent.on_send = lab.upload()
    assert lab.finish().outcome == "COMPLETE"


def test_after_hangs_and_ends_at_the_time_out(lab: ForensicsLab) -> None:
    contained(lab)
    lab.settings["timeout_minutes"] = 5
    lab.agent.answers = ["InProgress"]
    lab.agent.on_send = lab.upload(SECTIONS[:1], index=False)
    began = lab.clock
    part = lab.finish()
    assert part.outcome == "PARTIAL" and "was cancelled" in part.detail
    assert 300 <= lab.clock - began <= 330
