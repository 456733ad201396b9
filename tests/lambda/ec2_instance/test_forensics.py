"""Live forensics as the collector runs it: before containment under a deadline, after it where that is possible at all.

Systems Manager is played by ``forensics_lab.Agent`` behind botocore's parameter validation; EC2, S3 and DynamoDB are moto's.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ec2_lab import INCIDENT, PREFIX, REGION
from forensics_lab import BUCKET, DOCUMENT, SECTIONS, ForensicsLab, key_of
from guardduty_response.playbooks.ec2_instance.collect import forensics, uploads
from moto import mock_aws

Json = dict[str, Any]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, own_aws: None) -> Iterator[ForensicsLab]:
    made = ForensicsLab()
    clock = SimpleNamespace(time=lambda: made.clock, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr(forensics, "time", clock)
    made.build()
    yield made
    assert made.refused == []
    # What people can read: the record, and what was asked of Systems Manager but the parameter itself.
    assert "X-Amz-" not in json.dumps(made.ledger(), default=str)


@pytest.fixture
def own_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("GDR_BUCKET", BUCKET)
    with mock_aws():
        for cache in (forensics.aws.client, forensics.aws._own, uploads._s3):
            cache.cache_clear()
        yield
    for cache in (forensics.aws.client, forensics.aws._own, uploads._s3):
        cache.cache_clear()


# -- before -----------------------------------------------------------------------------------------------------------


def test_a_whole_collection(lab: ForensicsLab) -> None:
    lab.agent.on_send = lab.upload()
    first = lab.step()
    assert first.outcome == "RUNNING" and first.wait_seconds <= 3, "the deadline is short"
    part = lab.finish()
    assert part.outcome == "COMPLETE", part.detail
    assert part.task == ""
    shown = {one["key"].rsplit("/", 1)[-1]: one for one in part.objects}
    assert set(shown) == {*SECTIONS, "index.tsv"}
    for one in part.objects:
        body = lab.s3.get_object(Bucket=BUCKET, Key=one["key"])["Body"].read()
        assert (one["sha256"], one["bytes"]) == (uploads.hashlib.sha256(body).hexdigest(), len(body))
        assert one["key"].startswith(f"incidents/{INCIDENT}/{lab.ids['instance']}/forensics/")
        assert one["what"]
    assert part.request_ids == ["r-1"]
    assert len(lab.agent.commands) == 1


def test_what_is_sent(lab: ForensicsLab) -> None:
    lab.step()
    [command] = lab.agent.commands
    assert command["DocumentName"] == DOCUMENT
    assert command["InstanceIds"] == [lab.ids["instance"]]
    assert list(command["Parameters"]) == ["PlanUrl"], "as few parameters as possible"
    assert 30 <= command["TimeoutSeconds"] <= 60
    assert INCIDENT in command["Comment"] and len(command["Comment"]) <= 100
    assert "OutputS3BucketName" not in command
    [url] = command["Parameters"]["PlanUrl"]
    assert key_of(url).endswith("plan.txt")


def test_every_url_is_for_one_key_and_short_lived(lab: ForensicsLab) -> None:
    lab.step()
    lines = {line[0]: line[2] for line in lab.plan_lines()}
    assert lines.pop("@deadline") == "55", "the script is done before the machine's deadline"
    assert set(lines) == {*SECTIONS, "index.tsv"}
    for name, url in lines.items():
        assert key_of(url).endswith(f"/{name}")
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url, "buckets with KMS refuse version 2"
        assert "if-none-match" in url, "a key is written once"
        assert 60 < int(re.search(r"X-Amz-Expires=(\d+)", url).group(1)) <= 60 + 45 + 60  # type: ignore[union-attr]
        assert "checksum" not in url.lower(), "curl sends none"


def test_not_managed(lab: ForensicsLab) -> None:
    lab.agent.ping = None
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE"
    assert "does not manage it" in part.detail and lab.ids["instance"] in part.detail
    assert "aws ssm start-session" in part.task
    assert lab.agent.calls == ["DescribeInstanceInformation"]
    assert lab.stored() == []


def test_offline(lab: ForensicsLab) -> None:
    lab.agent.ping = "ConnectionLost"
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE" and "ConnectionLost" in part.detail


def test_a_platform_without_scripts(lab: ForensicsLab) -> None:
    lab.agent.platform = "MacOS"
    assert lab.step().outcome == "NOT_POSSIBLE"


def test_switched_off(lab: ForensicsLab) -> None:
    lab.settings["when"] = "off"
    assert lab.step().outcome == "SKIPPED"
    lab.settings.clear()
    assert lab.step().outcome == "SKIPPED"
    assert lab.agent.calls == []


@pytest.mark.parametrize("code", ["InvalidDocument", "InvalidInstanceId"])
def test_no_document_in_the_region_or_no_agent(lab: ForensicsLab, code: str) -> None:
    lab.agent.errors["SendCommand"] = code
    part = lab.finish()
    assert part.outcome == "NOT_POSSIBLE"
    assert code != "InvalidDocument" or (REGION in part.detail and "shared with" in part.detail)


def test_a_refused_command_does_not_tell_the_url(lab: ForensicsLab) -> None:
    lab.agent.errors["SendCommand"] = "InvalidParameters"
    part = lab.finish()
    assert part.outcome == "FAILED"
    assert "InvalidParameters" in part.detail
    assert "X-Amz" not in part.detail and "http" not in part.detail


def test_it_hangs_and_ends_at_the_deadline(lab: ForensicsLab) -> None:
    lab.agent.answers = ["Pending", "InProgress"]
    began = lab.clock
    states = []
    while (part := lab.step()).outcome == "RUNNING":
        ledger = lab.ledger()["evidence"]["forensics"]
        states.append((lab.clock - began, forensics.waits(ledger)))
        lab.clock += part.wait_seconds
    assert all(waits == (at < 60) for at, waits in states), "containment waits for the deadline and no longer"
    assert any(not waits for _, waits in states)
    assert lab.clock - began <= 60 + 45 + 30
    assert part.outcome == "FAILED"
    assert "was InProgress" in part.detail and "was cancelled" in part.detail
    assert lab.agent.calls[-1] == "CancelCommand"


def test_what_arrives_after_the_deadline_is_counted(lab: ForensicsLab) -> None:
    lab.agent.answers = ["InProgress"]
    lab.step()
    lab.clock += 70
    part = lab.step()
    assert part.outcome == "RUNNING" and "containment goes ahead" in part.detail
    lab.upload()({})
    lab.agent.answers = ["Success"]
    part = lab.step()
    assert part.outcome == "COMPLETE"
    assert "did not wait longer than 60 s" in part.detail


def test_it_fails_with_something_there(lab: ForensicsLab) -> None:
    lab.agent.answers = ["Failed"]
    lab.agent.on_send = lab.upload(SECTIONS[:2], index=False)
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "ended as Failed" in part.detail and "index did not arrive" in part.detail
    assert "users.txt: did not arrive" in part.detail
    assert {one["key"].rsplit("/", 1)[-1] for one in part.objects} == set(SECTIONS[:2])
    assert all(len(one["sha256"]) == 64 for one in part.objects), "hashed here, the instance having said nothing"


def test_it_fails_with_nothing_there(lab: ForensicsLab) -> None:
    lab.agent.answers = ["Failed"]
    part = lab.finish()
    assert part.outcome == "FAILED" and part.objects == []


def test_a_missing_tool_is_told(lab: ForensicsLab) -> None:
    lab.settings["packet_capture_seconds"] = 20
    lab.agent.on_send = lab.upload((*SECTIONS, "capture.pcap"), capture="absent")
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "capture.pcap: no tool for it on the instance" in part.detail


def test_a_changed_file_is_noticed(lab: ForensicsLab) -> None:
    deliver = lab.upload()

    def tamper(command: Json) -> None:
        deliver(command)
        [key] = [key for key in lab.stored() if key.endswith("network.txt")]
        lab.s3.put_object(Bucket=BUCKET, Key=key, Body=b"nothing to see")

    lab.agent.on_send = tamper
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "network.txt: its SHA-256 is not the one the instance gave" in part.detail


def test_the_index_is_data(lab: ForensicsLab) -> None:
    deliver = lab.upload()

    def forge(command: Json) -> None:
        deliver(command)
        [key] = [key for key in lab.stored() if key.endswith("index.tsv")]
        evil = "../../x\t1\t-\t1\tok\nprocesses.txt\t1\t-\t1\t<script>\n" + "A" * 70000 + "\n\xff\x00"
        lab.s3.put_object(Bucket=BUCKET, Key=key, Body=evil.encode("latin-1"))

    lab.agent.on_send = forge
    part = lab.finish()
    told = part.detail + json.dumps(part.state)
    assert "script" not in told and "AAAA" not in told and "../" not in told
    assert len(part.objects) == 6


def test_a_large_file_is_not_read_back_and_that_is_said(lab: ForensicsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "HASHED", 22)  # the length of "content of network.txt"
    lab.agent.on_send = lab.upload()
    part = lab.finish()
    assert "processes.txt: 24 bytes, not read back; the hash is the instance's own, unverified" in part.detail
    assert "network.txt" not in part.detail
    assert part.outcome == "COMPLETE"


# -- a call that dies -------------------------------------------------------------------------------------------------


def test_a_call_that_died_after_sending_sends_no_second(lab: ForensicsLab) -> None:
    lab.agent.die_after_sending = True
    lab.agent.on_send = lab.upload()
    with pytest.raises(TimeoutError):
        lab.step()
    lab.agent.die_after_sending = False
    part = lab.finish()
    assert part.outcome == "COMPLETE"
    assert len(lab.agent.commands) == 1


def test_a_call_that_died_before_sending_sends_one(lab: ForensicsLab) -> None:
    lab.agent.errors["SendCommand"] = "ThrottlingException"
    with pytest.raises(ClientError):
        lab.step()
    del lab.agent.errors["SendCommand"]
    lab.agent.on_send = lab.upload()
    part = lab.finish()
    assert part.outcome == "COMPLETE"
    assert len(lab.agent.commands) == 1


def test_a_command_that_is_not_listed_yet_is_waited_for(lab: ForensicsLab) -> None:
    lab.agent.die_after_sending, lab.agent.listed = True, False
    with pytest.raises(TimeoutError):
        lab.step()
    lab.agent.die_after_sending = False
    assert "interrupted call" in lab.step().detail
    lab.agent.listed = True
    lab.clock += 3
    lab.step()
    assert len(lab.agent.commands) == 1


# -- memory -----------------------------------------------------------------------------------------------------------


def with_memory(lab: ForensicsLab, location: str = "https://example.org/avml") -> None:
    lab.settings["memory"]["linux"] = {"location": location, "sha256": "0" * 64}


def send_parts(lab: ForensicsLab, numbers: tuple[int, ...], state: str = "ok", size: int = 5 * 1024 * 1024) -> None:
    """What the instance would do with the plan's UploadPart URLs, by the same upload id."""

    def deliver(command: Json) -> None:
        lab.upload()(command)
        [kept] = [lab.ledger()["evidence"]["forensics"]["state"]["uploads"]]
        key = f"incidents/{INCIDENT}/{kept['folder']}/memory.lime"
        for number in numbers:
            lab.s3.upload_part(Bucket=BUCKET, Key=key, UploadId=kept["upload_id"], PartNumber=number, Body=b"m" * size)
        [index] = [one for one in lab.stored() if one.endswith("index.tsv")]
        text = lab.s3.get_object(Bucket=BUCKET, Key=index)["Body"].read().decode()
        line = f"memory.lime\t{size * len(numbers)}\t{'a' * 64}\t{len(numbers)}\t{state}"
        lab.s3.put_object(Bucket=BUCKET, Key=index, Body=f"{text}\n{line}\n".encode())

    lab.agent.on_send = deliver


def uploads_open(lab: ForensicsLab) -> int:
    return len(lab.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


def test_memory_comes_in_parts(lab: ForensicsLab) -> None:
    with_memory(lab)
    send_parts(lab, (1, 2))
    part = lab.finish()
    assert part.outcome == "COMPLETE", part.detail
    [dump] = [one for one in part.objects if one["what"] == "memory"]
    assert dump["bytes"] == 10 * 1024 * 1024 and dump["sha256"] == "a" * 64
    assert lab.s3.head_object(Bucket=BUCKET, Key=dump["key"])["ContentLength"] == dump["bytes"]
    assert "unverified" in part.detail
    assert uploads_open(lab) == 0


def test_memory_up_to_the_first_gap(lab: ForensicsLab) -> None:
    with_memory(lab)
    send_parts(lab, (1, 3), "lost")
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "memory.lime: only its first 5242880 bytes arrived" in part.detail
    [dump] = [one for one in part.objects if one["what"] == "memory"]
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
    made = uploads.begin(lab.work, "f", "Linux", lab.settings, mib)
    assert made.parts <= 500 and 64 * uploads.MIB <= made.part_bytes <= 5 * 1024 * uploads.MIB
    if mib < 1_000_000:
        assert made.parts * made.part_bytes >= mib * uploads.MIB * 1.05


def test_windows_has_its_own_names(lab: ForensicsLab) -> None:
    lab.agent.platform = "Windows"
    lab.settings["packet_capture_seconds"] = 10
    lab.settings["commands"]["windows"] = ["Get-Date"]
    lab.settings["memory"]["windows"] = {"location": "https://example.org/winpmem.exe", "sha256": "0" * 64}
    lab.step()
    names = {line[0] for line in lab.plan_lines()}
    assert {"capture.etl", "commands.txt", "memory.raw"} <= names


# -- after ------------------------------------------------------------------------------------------------------------


def contained(lab: ForensicsLab, egress: Json | None = None, profile: str = f"{PREFIX}-quarantine-ssm") -> str:
    """The instance as containment leaves it: the group brought along, the SSM-only profile."""
    ec2, iam = lab.see("ec2"), lab.see("iam")
    group = ec2.create_security_group(GroupName="endpoints", Description="q", VpcId=lab.ids["vpc"])["GroupId"]
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=shown["IpPermissionsEgress"])
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    rule |= egress or {"UserIdGroupPairs": [{"GroupId": lab.ids["group"]}]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    for interface in lab.groups():
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    iam.create_role(RoleName=profile, AssumeRolePolicyDocument="{}") if profile != "app" else None
    if profile != "app":
        iam.create_instance_profile(InstanceProfileName=profile)
        iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=profile)
        [had] = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
        ec2.replace_iam_instance_profile_association(AssociationId=had["AssociationId"], IamInstanceProfile={"Name": profile})
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: group}
    lab.settings["when"] = "after"
    return str(group)


def test_after_containment(lab: ForensicsLab) -> None:
    contained(lab)
    lab.agent.on_send = lab.upload()
    assert forensics.possible_after(lab.work) == ""
    first = lab.step()
    assert first.outcome == "RUNNING" and first.wait_seconds == 15
    assert not forensics.waits(lab.ledger()["evidence"]["forensics"]), "nothing waits for it"
    part = lab.finish()
    assert part.outcome == "COMPLETE", part.detail
    [limit] = [line[2] for line in lab.plan_lines() if line[0] == "@deadline"]
    assert int(limit) == 30 * 60 - 60


def test_after_without_an_endpoint_only_group(lab: ForensicsLab) -> None:
    lab.settings["when"] = "after"
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE"
    assert "no endpoint-only group" in part.detail and lab.ids["vpc"] in part.detail
    assert lab.agent.calls == []


@pytest.mark.parametrize(("egress", "why"), [
    ({"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "more than tcp/443"),
    ({"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "more than tcp/443"),
    ({"FromPort": 0, "ToPort": 65535, "UserIdGroupPairs": [{"GroupId": "x"}]}, "more than tcp/443"),
])  # fmt: skip
def test_after_with_a_group_that_lets_more_out(lab: ForensicsLab, egress: Json, why: str) -> None:
    if "UserIdGroupPairs" in egress:
        egress = {**egress, "UserIdGroupPairs": [{"GroupId": lab.ids["group"]}]}
    contained(lab, egress)
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE" and why in part.detail


def test_a_prefix_list_is_an_endpoint() -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": "pl-1"}]}
    assert forensics.endpoint_only({"GroupId": "sg-1", "IpPermissionsEgress": [rule]}) == ""
    assert "lets nothing out" in forensics.endpoint_only({"GroupId": "sg-1", "IpPermissionsEgress": []})
    assert "lets something in" in forensics.endpoint_only({"GroupId": "sg-1", "IpPermissions": [rule]})
    wide = {**rule, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    assert "more than" in forensics.endpoint_only({"GroupId": "sg-1", "IpPermissionsEgress": [rule, wide]})


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


# -- deadlines and power ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "seconds"), [
    ("CryptoCurrency:EC2/BitcoinTool.B!DNS", 5), ("CryptoCurrency:EC2/Other", 10), ("CryptoCurrency:S3/X", 20),
    ("Recon:EC2/X", 90),
])  # fmt: skip
def test_the_deadline_of_a_finding_type(kind: str, seconds: int) -> None:
    deadlines = {"CryptoCurrency:EC2/*": 10, "CryptoCurrency:*": 20, "CryptoCurrency:EC2/BitcoinTool.B!DNS": 5}
    assert forensics.deadline_for({"deadline_seconds": 90, "deadlines": deadlines}, kind) == seconds


def test_the_deadline_when_nothing_is_said() -> None:
    assert forensics.deadline_for({}, "Recon:EC2/X") == 60


def test_sessions_may_do_one_thing_each(lab: ForensicsLab) -> None:
    lab.agent.on_send = lab.upload()
    lab.finish()
    statements = [one for policy in lab.policies for one in policy["Statement"]]
    for one in statements:
        for action in one["Action"]:
            if action == "ssm:SendCommand":
                assert one["Resource"] == [f"arn:aws:ec2:{REGION}:222222222222:instance/{lab.ids['instance']}", DOCUMENT]
            else:
                assert action.split(":")[1].startswith(("Describe", "Get", "List"))
