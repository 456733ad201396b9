"""Live forensics before containment, under its deadline, and what each session may do.

Systems Manager is played by ``forensics_lab.Agent`` behind botocore's parameter validation; EC2, S3
and DynamoDB are moto's.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.playbooks.ec2_instance.evidence import forensics, uploads

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, REGION
from tests.unit.playbooks.ec2_instance.live_forensics.forensics_lab import (
    BUCKET,
    DOCUMENT,
    SECTIONS,
    ForensicsLab,
    key_of,
)
from tests.unit.playbooks.ec2_instance.regions_lab import AWAY

Json = dict[str, Any]


# -- before ----------------------------------------------------------------------------------------


def test_a_whole_collection(lab: ForensicsLab) -> None:
    lab.agent.on_send = lab.upload()
    first = lab.step()
    assert first.outcome == "RUNNING" and first.wait_seconds <= 3, "the deadline is short"
    part = lab.finish()
    assert part.outcome == "COMPLETE", part.detail
    assert part.task == ""
    shown = {stored["key"].rsplit("/", 1)[-1]: stored for stored in part.objects}
    assert set(shown) == {*SECTIONS, "index.tsv"}
    for stored in part.objects:
        body = lab.s3.get_object(Bucket=BUCKET, Key=stored["key"])["Body"].read()
        assert (stored["sha256"], stored["bytes"]) == (
            hashlib.sha256(body).hexdigest(),
            len(body),
        )
        assert stored["key"].startswith(f"incidents/{INCIDENT}/{lab.ids['instance']}/forensics/")
        assert stored["what"]
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


@pytest.mark.parametrize("lab", [AWAY], indirect=True)
def test_in_another_region_its_own_document_and_the_bucket_at_home(lab: ForensicsLab) -> None:
    """Documents are Regional, and Systems Manager is asked where the instance is; the evidence
    bucket is the response's.
    """
    lab.agent.on_send = lab.upload()
    assert lab.finish().outcome == "COMPLETE"
    [command] = lab.agent.commands
    assert command["DocumentName"] == DOCUMENT.replace(REGION, AWAY)
    [url] = command["Parameters"]["PlanUrl"]
    assert AWAY not in url
    # that every session is of that Region, ForensicsLab.assume asserts


@pytest.mark.parametrize("lab", [AWAY], indirect=True)
def test_a_region_without_the_document_is_named_with_what_makes_it(lab: ForensicsLab) -> None:
    lab.agent.errors["SendCommand"] = "InvalidDocument"
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE"
    assert f"Region {AWAY} has no document" in part.detail and "modules/region" in part.detail


def test_every_url_is_for_one_key_and_short_lived(lab: ForensicsLab) -> None:
    lab.step()
    lines = {line[0]: line[2] for line in lab.plan_lines()}
    assert lines.pop("@deadline") == "55", "the script is done before the machine's deadline"
    assert set(lines) == {*SECTIONS, "index.tsv"}
    for name, url in lines.items():
        assert key_of(url).endswith(f"/{name}")
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url, "buckets with KMS refuse version 2"
        assert "if-none-match" in url, "a key is written once"
        expires = re.search(r"X-Amz-Expires=(\d+)", url)
        assert expires and 60 < int(expires[1]) <= 60 + 45 + 60
        assert "checksum" not in url.lower(), "curl sends none"


def test_not_managed(lab: ForensicsLab) -> None:
    lab.agent.ping = None
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE"
    assert "does not manage it" in part.detail and lab.ids["instance"] in part.detail
    assert "aws ssm start-session" in part.task
    assert lab.agent.calls == ["DescribeInstanceInformation"]
    assert lab.stored() == []


def test_not_known_at_all(lab: ForensicsLab) -> None:
    lab.agent.errors["DescribeInstanceInformation"] = "InvalidInstanceId"
    assert "does not manage it" in lab.step().detail


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
        stored_record = lab.stored_record()["evidence"]["forensics"]
        states.append((lab.clock - began, forensics.waits(stored_record)))
        lab.clock += part.wait_seconds
    assert all(waits == (at < 60) for at, waits in states), (
        "containment waits for the deadline and no longer"
    )
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
    assert {stored["key"].rsplit("/", 1)[-1] for stored in part.objects} == set(SECTIONS[:2])
    assert all(len(stored["sha256"]) == 64 for stored in part.objects), (
        "hashed here, the instance having said nothing"
    )


def test_what_is_not_there_may_look_forbidden(lab: ForensicsLab) -> None:
    """Without s3:ListBucket, AWS answers AccessDenied for a key that does not exist; moto and
    the sandbox answer NoSuchKey.
    """
    lab.agent.on_send = lab.upload(SECTIONS[:4])

    def forbid(params: Json, **_: Any) -> None:
        if key_of(params["url"]) not in lab.stored():
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    uploads._s3().meta.events.register("before-call.s3.GetObject", forbid)
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "jobs.txt: did not arrive" in part.detail
    assert len(part.objects) == 5


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
        lab.s3.put_object(
            Bucket=BUCKET,
            Key=key,
            Body=b"nothing to see",
        )

    lab.agent.on_send = tamper
    part = lab.finish()
    assert part.outcome == "PARTIAL"
    assert "network.txt: its SHA-256 is not the one the instance gave" in part.detail


def test_the_index_is_data(lab: ForensicsLab) -> None:
    deliver = lab.upload()

    def forge(command: Json) -> None:
        deliver(command)
        [key] = [key for key in lab.stored() if key.endswith("index.tsv")]
        evil = (
            "../../x\t1\t-\t1\tok\nprocesses.txt\t1\t-\t1\t<script>\n" + "A" * 70000 + "\n\xff\x00"
        )
        lab.s3.put_object(
            Bucket=BUCKET,
            Key=key,
            Body=evil.encode("latin-1"),
        )

    lab.agent.on_send = forge
    part = lab.finish()
    notified = part.detail + json.dumps(part.state)
    assert "script" not in notified and "AAAA" not in notified and "../" not in notified
    assert len(part.objects) == 6


def test_a_large_file_is_not_read_back_and_that_is_said(
    lab: ForensicsLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "HASHED", 22)  # the length of "content of network.txt"
    lab.agent.on_send = lab.upload()
    part = lab.finish()
    assert (
        "processes.txt: 24 bytes, not read back; the hash is the instance's own, unverified"
        in part.detail
    )
    assert "network.txt" not in part.detail
    assert part.outcome == "COMPLETE"


# -- a call that dies ------------------------------------------------------------------------------


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


# -- deadlines and power ---------------------------------------------------------------------------


def test_a_finding_type_that_containment_does_not_wait_for(lab: ForensicsLab) -> None:
    lab.settings["deadlines"] = {"CryptoCurrency:*": 0}
    part = lab.step()
    assert part.outcome == "SKIPPED"
    assert lab.agent.calls == []


def test_not_begun_before_containment_is_not_begun_after_it(lab: ForensicsLab) -> None:
    """A contained instance cannot be reached: said at once, not after the deadline."""
    lab.record.set_target(
        INCIDENT,
        "ec2_instance",
        lab.ids["instance"],
        status="CONTAINED",
    )
    part = lab.step()
    assert part.outcome == "NOT_POSSIBLE"
    assert "not begun before containment" in part.detail
    assert lab.agent.calls == []


def test_sessions_may_do_one_thing_each(lab: ForensicsLab) -> None:
    lab.agent.on_send = lab.upload()
    lab.finish()
    statements = [statement for policy in lab.policies for statement in policy["Statement"]]
    for statement in statements:
        for action in statement["Action"]:
            if action == "ssm:SendCommand":
                assert statement["Resource"] == [
                    f"arn:aws:ec2:{REGION}:222222222222:instance/{lab.ids['instance']}",
                    DOCUMENT,
                ]
            else:
                assert action.split(":")[1].startswith(("Describe", "Get", "List"))
