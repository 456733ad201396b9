"""Systems Manager in the sandbox: a shared document runs for real, under enforced IAM, and its
files arrive by presigned URL.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients as own_aws
from guardduty_response.containment.contract import Context, Target
from guardduty_response.decision.configuration import Config
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.ec2_instance.evidence import forensics, uploads
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from sandbox import seed, settings
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, MEMBER, SECURITY, Identity, allow, eventually

Json = dict[str, Any]
Make = Callable[..., seed.Victim]
PREFIX, INCIDENT = "guardduty-response", "inc-0123456789abcdef"
SCRIPT = settings.ROOT / "playbooks" / "ec2_instance" / "forensics" / "linux.sh"
PATTERN = (
    "^http://127\\.0\\.0\\.1:[0-9]{2,5}/[A-Za-z0-9._~%/-]+/plan\\.txt\\?[A-Za-z0-9%&=._~+/-]+$"
)


def content(script: str, limit: int = 60, pattern: str = PATTERN) -> str:
    """A document with one step for Linux, as modules/forensics makes it."""
    step = {
        "action": "aws:runShellScript",
        "name": "linux",
        "precondition": {"StringEquals": ["platformType", "Linux"]},
        "inputs": {"timeoutSeconds": str(limit), "runCommand": script.splitlines()},
    }
    parameters = {"PlanUrl": {"type": "String", "allowedPattern": pattern}}
    return json.dumps({"schemaVersion": "2.2", "parameters": parameters, "mainSteps": [step]})


@pytest.fixture
def document(aws: Aws) -> Callable[..., str]:
    """Creates a document in the security account; returns its ARN. Shared with the member
    account unless told otherwise.
    """

    def make(script: str, *, shared: bool = True, name: str = "", **more: Any) -> str:
        name, ssm = name or f"d-{secrets.token_hex(4)}", aws.client("ssm", SECURITY)
        with contextlib.suppress(ClientError):  # of an earlier test: no longer shared, then gone
            ssm.modify_document_permission(
                Name=name, PermissionType="Share", AccountIdsToRemove=[MEMBER]
            )
            ssm.delete_document(Name=name)
        ssm.create_document(Name=name, Content=content(script, **more), DocumentType="Command")
        if shared:
            ssm.modify_document_permission(
                Name=name, PermissionType="Share", AccountIdsToAdd=[MEMBER]
            )
        return f"arn:aws:ssm:{aws.region}:{SECURITY}:document/{name}"

    return make


URL = "http://127.0.0.1:4566/b/plan.txt?X-Amz-Signature=0"


def send(aws: Aws, instance: str, document: str, url: str = URL, **more: Any) -> str:
    got = aws.client("ssm").send_command(
        DocumentName=document, InstanceIds=[instance], Parameters={"PlanUrl": [url]}, **more
    )
    return str(got["Command"]["CommandId"])


def shown(aws: Aws, command: str, instance: str) -> Json:
    return dict(aws.client("ssm").get_command_invocation(CommandId=command, InstanceId=instance))


def ended(aws: Aws, command: str, instance: str, seconds: float = 20) -> Json:
    final = ("Success", "Failed", "TimedOut", "Cancelled")
    return dict(
        eventually(
            lambda: (got := shown(aws, command, instance))["Status"] in final and got, seconds
        )
    )


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.smoke
def test_instances_are_managed(aws: Aws, victim: Make) -> None:
    ssm = aws.client("ssm")

    def ping(id: str) -> list[str]:
        found = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [id]}])[
            "InstanceInformationList"
        ]
        return [f"{one['PlatformType']} {one['PingStatus']}" for one in found]

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
    assert eventually(lambda: shown(aws, command, found.instance)["Status"] == "InProgress", 3)
    got = ended(aws, command, found.instance)
    assert (got["Status"], got["ResponseCode"], got["StandardErrorContent"]) == (
        "Success",
        0,
        "err\n",
    )
    out = got["StandardOutputContent"]
    assert "AWS" not in out and "HOME" not in out, "none of the sandbox's environment"
    assert out.rstrip().endswith(str(len(URL) + 1)), "the parameter stands in the script"
    assert not Path(out.split("out ")[1].split()[0]).exists(), "its directory is removed"
    listed = aws.client("ssm").list_commands(InstanceId=found.instance)["Commands"]
    assert [(one["CommandId"], one["Comment"], one["Status"]) for one in listed] == [
        (command, "for a test", "Success")
    ]
    invocations = aws.client("ssm").list_command_invocations(CommandId=command)[
        "CommandInvocations"
    ]
    assert [one["Status"] for one in invocations] == ["Success"]


def test_a_script_that_fails_or_takes_too_long(
    aws: Aws, victim: Make, document: Callable[..., str]
) -> None:
    found = victim()
    failing = send(aws, found.instance, document("exit 3"))
    slow = send(aws, found.instance, document("sleep 300 & sleep 300", limit=1))
    got = ended(aws, failing, found.instance)
    assert (got["Status"], got["ResponseCode"]) == ("Failed", 3)
    assert ended(aws, slow, found.instance)["Status"] == "TimedOut"


def test_a_cancelled_command_ends_all_it_started(
    aws: Aws, victim: Make, document: Callable[..., str], tmp_path: Path
) -> None:
    found, beat = victim(), tmp_path / "beat"
    arn = document(
        f"timeout 60 sh -c 'while :; do date +%s%N >>{beat}; sleep 0.1; done' & sleep 60"
    )
    command = send(aws, found.instance, arn)
    assert eventually(beat.exists, 5)
    aws.client("ssm").cancel_command(CommandId=command)
    assert ended(aws, command, found.instance)["Status"] == "Cancelled"
    time.sleep(0.5)
    last = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == last


def test_faults_by_tag(aws: Aws, victim: Make, document: Callable[..., str]) -> None:
    arn = document("echo ran")
    hanging, failing = victim(tags={"sandbox:ssm": "hang"}), victim(tags={"sandbox:ssm": "fail"})
    offline, unmanaged = (
        victim(tags={"sandbox:ssm": "offline"}),
        victim(tags={"sandbox:ssm": "none"}),
    )
    waits, fails, never = (send(aws, one.instance, arn) for one in (hanging, failing, offline))
    got = ended(aws, fails, failing.instance)
    assert (got["Status"], got["StandardOutputContent"]) == ("Failed", "")
    assert code(lambda: send(aws, unmanaged.instance, arn)) == "InvalidInstanceId"
    time.sleep(1)
    assert shown(aws, waits, hanging.instance)["Status"] == "InProgress"
    assert shown(aws, never, offline.instance)["Status"] == "Pending"
    aws.client("ssm").cancel_command(CommandId=waits)
    assert shown(aws, waits, hanging.instance)["Status"] == "Cancelled"


def test_quarantine_cuts_the_agent_off(
    aws: Aws, victim: Make, document: Callable[..., str], tmp_path: Path
) -> None:
    found, ec2, beat = victim(), aws.client("ec2"), tmp_path / "beat"
    command = send(
        aws, found.instance, document(f"while :; do date +%s%N >>{beat}; sleep 0.1; done")
    )
    assert eventually(beat.exists, 5)
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
    found, private = victim(), document("true", shared=False)
    assert code(lambda: send(aws, found.instance, private)) == "InvalidDocument"
    elsewhere = document("true").replace(aws.region, "eu-west-1")
    assert code(lambda: send(aws, found.instance, elsewhere)) == "InvalidDocument"
    assert (
        code(lambda: send(aws, found.instance, document("true").rsplit("/", 1)[-1]))
        == "InvalidDocument"
    )


def test_parameters_meet_the_pattern(aws: Aws, victim: Make, document: Callable[..., str]) -> None:
    found, arn = victim(), document("true")
    for bad in (
        "http://127.0.0.1:1/plan.txt?x'; id; '",
        "https://elsewhere.example/b/plan.txt?x",
        "",
    ):
        assert code(lambda bad=bad: send(aws, found.instance, arn, bad)) == "InvalidParameters"


def test_sending_is_checked_on_document_and_instance(
    aws: Aws, identity: Identity, victim: Make, document: Callable[..., str]
) -> None:
    found, other, arn = victim(), victim(), document("true")
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
        assert (
            code(lambda n=narrow: n.send_command(InstanceIds=[found.instance], **send_))
            == "AccessDeniedException"
        )
    shell = identity.client("ssm", allow("ssm:SendCommand", [instance, arn]))
    anything = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["id"]}}
    assert (
        code(lambda: shell.send_command(InstanceIds=[found.instance], **anything))
        == "AccessDeniedException"
    )


# -- the collection itself -------------------------------------------------------------------------


def collector_policy() -> Json:
    text = (settings.ROOT / "playbooks" / "ec2_instance" / "collector-policy.json").read_text()
    for name, value in {
        "partition": "aws",
        "account_id": MEMBER,
        "security_account_id": SECURITY,
        "name_prefix": PREFIX,
    }.items():
        text = text.replace(f"${{{name}}}", value)
    return dict(json.loads(text))


@dataclasses.dataclass
class Collection:
    """The part ``forensics`` run as its function runs it: with the rights of its roles and no
    others.
    """

    aws: Aws
    identity: Identity
    bucket: str
    config: Json
    role: str = ""

    def run(self, id: str) -> EvidenceItem:
        record = IncidentRepository("forensics-lab", own_aws.client("dynamodb"))
        arn = f"arn:aws:ec2:{self.aws.region}:{MEMBER}:instance/{id}"
        record.put_target(INCIDENT, {"kind": "ec2_instance", "id": id, "arn": arn})
        values = dict.fromkeys((one.name for one in dataclasses.fields(Config)), None)
        values |= {
            "name_prefix": PREFIX,
            "partition": "aws",
            "security_account": SECURITY,
            "responder": {"role_path": "/", "quarantine_profile": "q"},
            "forensics": self.config,
        }
        config = Config(**values)  # type: ignore[arg-type]
        finding: Any = type("Seen", (), {"type": "CryptoCurrency:EC2/BitcoinTool.B!DNS"})()
        options: Json = {
            "quarantine_security_group_ids": {},
            "auto_scaling": "detach",
            "untrack_connections": False,
        }
        context = Context(
            config,
            options,
            finding,
            INCIDENT,
            "exec",
            record,
            self.assume,
            lambda name, body: evidence_store.put(INCIDENT, name, body),
        )
        part = EvidenceItem(forensics.Outcome.RUNNING, "")
        for _ in range(60):
            work = InstanceContext(
                context, Target("ec2_instance", id, arn, MEMBER, self.aws.region)
            )
            work.stored = {"status": "OPEN"}  # not contained yet
            part = forensics.run(work, dataclasses.asdict(part))
            if part.outcome != "RUNNING":
                return part
            time.sleep(min(part.wait_seconds, 1))
        raise AssertionError(part.detail)

    def assume(self, account: str, region: str, policy: Json) -> own_aws.Session:
        anybody = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{SECURITY}:root"},
            "Action": "sts:AssumeRole",
        }
        trust = {"Version": "2012-10-17", "Statement": [anybody]}
        self.role = self.role or self.identity.role(collector_policy(), trust=trust)
        return own_aws.Session(self.role, "forensics", region, policy)

    def read(self, key: str) -> bytes:
        return bytes(
            self.aws.client("s3", SECURITY).get_object(Bucket=self.bucket, Key=key)["Body"].read()
        )


@pytest.fixture
def collection(
    aws: Aws, identity: Identity, document: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collection]:
    bucket = f"evidence-{secrets.token_hex(4)}"
    aws.client("s3", SECURITY).create_bucket(Bucket=bucket)
    aws.client("s3", SECURITY).put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    with contextlib.suppress(ClientError):  # an earlier test made it
        aws.client("dynamodb", SECURITY).create_table(
            TableName="forensics-lab",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
        )
    # The collector function's own rights: one prefix of the bucket, no listing.
    objects = {
        "Effect": "Allow",
        "Resource": f"arn:aws:s3:::{bucket}/incidents/*",
        "Action": [
            "s3:GetObject",
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
        ],
    }
    rest = {"Effect": "Allow", "Action": ["dynamodb:*", "sts:AssumeRole"], "Resource": "*"}
    function = identity.role(
        {"Version": "2012-10-17", "Statement": [objects, rest]}, account=SECURITY
    )
    keys = identity.session(function)
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": aws.region,
        "GDR_BUCKET": bucket,
        "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": keys["aws_session_token"],
    }.items():
        monkeypatch.setenv(name, value)
    full = botocore.loaders.create_loader()  # the collector's zip has no trimmed models
    monkeypatch.setattr(own_aws, "_loader", lambda: full)
    caches = (own_aws.client, own_aws._own, uploads._s3)
    for cache in caches:
        cache.cache_clear()
    script = (
        "GDR_PLAN_URL='{{ PlanUrl }}'\nGDR_TIMEOUT=60\nGDR_COMMANDS=ZWNobyBteSBvd24=\n"
        + SCRIPT.read_text()
    )
    name = f"{PREFIX}-forensics"
    config = {
        "when": "before",
        "deadline_seconds": 30,
        "packet_capture_seconds": 0,
        "commands": {"linux": ["echo my own"]},
        "memory": {"linux": None},
        "timeout_minutes": 5,
        "deadlines": {},
    }
    document(script, name=name)
    yield Collection(aws, identity, bucket, config)
    for cache in caches:
        cache.cache_clear()


def test_a_collection_end_to_end(collection: Collection, victim: Make) -> None:
    part = collection.run(victim().instance)
    assert part.outcome == "COMPLETE", part.detail
    shown = {one["key"].rsplit("/", 1)[-1]: one for one in part.objects}
    assert set(shown) == {*uploads.SECTIONS, "commands.txt", "index.tsv"}
    for one in part.objects:
        body = collection.read(one["key"])
        assert (hashlib.sha256(body).hexdigest(), len(body)) == (one["sha256"], one["bytes"])
    assert "my own" in collection.read(shown["commands.txt"]["key"]).decode()
    assert "PID" in collection.read(shown["processes.txt"]["key"]).decode()
    assert "X-Amz-" not in json.dumps(dataclasses.asdict(part))


def test_a_url_is_good_for_its_own_key_and_once(collection: Collection, victim: Make) -> None:
    import urllib.error
    import urllib.request

    part = collection.run(victim().instance)
    plan = collection.read(
        f"incidents/{INCIDENT}/{part.state['uploads']['folder']}/plan.txt"
    ).decode()
    urls = {
        line.split("\t")[0]: line.split("\t")[2]
        for line in plan.splitlines()
        if not line.startswith("@")
    }

    def put(url: str, **headers: str) -> int:
        request = urllib.request.Request(url, b"forged", headers, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    once = {"If-None-Match": "*"}
    assert put(urls["network.txt"], **once) == 412, "what arrived is not written over"
    assert put(urls["network.txt"]) == 403, "and not without the condition"
    assert put(urls["network.txt"].replace("network.txt", "other.txt"), **once) == 403


def test_memory_end_to_end(
    collection: Collection, victim: Make, document: Callable[..., str]
) -> None:
    """A command that uploads two parts by the plan's URLs: the plan, the multipart upload and
    its end are real.
    """
    script = """GDR_PLAN_URL='{{ PlanUrl }}'
plan=$(curl -sf "$GDR_PLAN_URL")
head -c 5242880 /dev/zero >"$TMPDIR/one"
printf tail >"$TMPDIR/two"
for n in 1 2; do
  url=$(printf '%s\\n' "$plan" | sed -n "s/^memory.lime\\t$n\\t//p")
  curl -sf -H Expect: -T "$TMPDIR/$([ $n = 1 ] && echo one || echo two)" "$url" || exit 1
done"""
    collection.config |= {
        "memory": {"linux": {"location": "https://example.org/avml", "sha256": "0" * 64}}
    }
    name = f"{PREFIX}-forensics"
    document(script, name=name)
    part = collection.run(victim().instance)
    assert part.outcome == "PARTIAL", part.detail
    [dump] = [one for one in part.objects if one["what"] == "memory"]
    assert dump["bytes"] == 5242884
    assert collection.read(dump["key"])[-4:] == b"tail"
    open_ = (
        collection.aws.client("s3", SECURITY)
        .list_multipart_uploads(Bucket=collection.bucket)
        .get("Uploads", [])
    )
    assert open_ == []


@pytest.mark.parametrize(
    ("trait", "outcome", "text"),
    [
        ("offline", "NOT_POSSIBLE", "ConnectionLost"),
        ("none", "NOT_POSSIBLE", "does not manage it"),
        ("fail", "FAILED", "Failed"),
    ],
)
def test_what_goes_wrong_is_said(
    collection: Collection, victim: Make, trait: str, outcome: str, text: str
) -> None:
    part = collection.run(victim(tags={"sandbox:ssm": trait}).instance)
    assert part.outcome == outcome and text in part.detail


def test_it_hangs(collection: Collection, victim: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forensics, "GRACE", 2)
    collection.config["deadline_seconds"] = 3
    part = collection.run(victim(tags={"sandbox:ssm": "hang"}).instance)
    assert part.outcome == "FAILED"
    assert "was InProgress" in part.detail and "was cancelled" in part.detail


def test_no_document_for_the_account(collection: Collection, victim: Make) -> None:
    name = f"{PREFIX}-forensics"
    collection.aws.client("ssm", SECURITY).modify_document_permission(
        Name=name, PermissionType="Share", AccountIdsToRemove=[MEMBER]
    )
    part = collection.run(victim().instance)
    assert part.outcome == "NOT_POSSIBLE" and f"shared with account {MEMBER}" in part.detail


def test_the_collector_role_may_send_no_other_document() -> None:
    for statement in collector_policy()["Statement"]:
        actions = (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
        if "ssm:SendCommand" in actions:
            resources = (
                statement["Resource"]
                if isinstance(statement["Resource"], list)
                else [statement["Resource"]]
            )
            for other in (
                "arn:aws:ssm:us-east-1::document/AWS-RunShellScript",
                f"arn:aws:ssm:us-east-1:{MEMBER}:document/other",
            ):
                assert not any(fnmatch.fnmatchcase(other, one) for one in resources)
