"""Forensics in the sandbox: the collector's own code runs the shared document on an instance, and
its files arrive by presigned URL.
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
from typing import Any, cast

import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients as own_aws
from guardduty_response.containment.contract import Context, Target
from guardduty_response.decision.configuration import Config
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.model import EvidenceEntry
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.ec2_instance.evidence import forensics, uploads
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from sandbox import seed, settings
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, SECURITY, Identity
from tests.sandbox.ssm_helpers import SCRIPT

Json = dict[str, Any]
Make = Callable[..., seed.Victim]
PREFIX = "guardduty-response"
INCIDENT = "inc-0123456789abcdef"


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
        record.put_target(
            INCIDENT,
            {
                "kind": "ec2_instance",
                "id": id,
                "arn": arn,
            },
        )
        values = dict.fromkeys(Config._fields)
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
        evidence_item = EvidenceItem(Outcome.RUNNING, "")
        for _ in range(60):
            instance = InstanceContext(
                context, Target("ec2_instance", id, arn, MEMBER, self.aws.region)
            )
            instance.stored = {"status": "OPEN"}  # not contained yet
            evidence_item = forensics.run(
                instance, cast("EvidenceEntry", dataclasses.asdict(evidence_item))
            )
            if evidence_item.outcome != "RUNNING":
                return evidence_item
            time.sleep(min(evidence_item.wait_seconds, 1))
        raise AssertionError(evidence_item.detail)

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
    rest = {
        "Effect": "Allow",
        "Action": ["dynamodb:*", "sts:AssumeRole"],
        "Resource": "*",
    }
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
    evidence_item = collection.run(victim().instance)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    shown = {item["key"].rsplit("/", 1)[-1]: item for item in evidence_item.objects}
    assert set(shown) == {*uploads.SECTIONS, "commands.txt", "index.tsv"}
    for item in evidence_item.objects:
        body = collection.read(item["key"])
        assert hashlib.sha256(body).hexdigest() == item["sha256"]
        assert len(body) == item["bytes"]
    assert "my own" in collection.read(shown["commands.txt"]["key"]).decode()
    assert "PID" in collection.read(shown["processes.txt"]["key"]).decode()
    assert "X-Amz-" not in json.dumps(dataclasses.asdict(evidence_item))


def test_a_url_is_good_for_its_own_key_and_once(collection: Collection, victim: Make) -> None:
    import urllib.error
    import urllib.request

    evidence_item = collection.run(victim().instance)
    plan = collection.read(
        f"incidents/{INCIDENT}/{evidence_item.state['uploads']['folder']}/plan.txt"
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
    evidence_item = collection.run(victim().instance)
    assert evidence_item.outcome == "PARTIAL", evidence_item.detail
    [dump] = [item for item in evidence_item.objects if item["what"] == "memory"]
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
    evidence_item = collection.run(victim(tags={"sandbox:ssm": trait}).instance)
    assert evidence_item.outcome == outcome
    assert text in evidence_item.detail


def test_it_hangs(collection: Collection, victim: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forensics, "GRACE_SECONDS", 2)
    collection.config["deadline_seconds"] = 3
    evidence_item = collection.run(victim(tags={"sandbox:ssm": "hang"}).instance)
    assert evidence_item.outcome == "FAILED"
    assert "was InProgress" in evidence_item.detail
    assert "was cancelled" in evidence_item.detail


def test_no_document_for_the_account(collection: Collection, victim: Make) -> None:
    name = f"{PREFIX}-forensics"
    collection.aws.client("ssm", SECURITY).modify_document_permission(
        Name=name, PermissionType="Share", AccountIdsToRemove=[MEMBER]
    )
    evidence_item = collection.run(victim().instance)
    assert evidence_item.outcome == "NOT_POSSIBLE"
    assert f"shared with account {MEMBER}" in evidence_item.detail


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
                assert not any(fnmatch.fnmatchcase(other, resource) for resource in resources)
