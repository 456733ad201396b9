"""Provides a deployment in moto: table, bucket, topics with queues that listen, state machines.

Tests read it by clients of their own.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from guardduty_response.decision import configuration
from moto import mock_aws

from tests.unit.background import drain
from tests.unit.incident_table import create_table
from tests.unit.invocations import catch_invocations

Json = dict[str, Any]

REGION, SECURITY, MEMBER, PREFIX = (
    "eu-central-1",
    "123456789012",
    "222222222222",
    "guardduty-response",
)
TABLE, BUCKET = f"{PREFIX}-incidents", f"{PREFIX}-evidence-{SECURITY}-{REGION}"
MACHINES = f"arn:aws:states:{REGION}:{SECURITY}:stateMachine:{PREFIX}-"
EXECUTIONS = f"arn:aws:states:{REGION}:{SECURITY}:execution:{PREFIX}-"

MONITORS = {
    name: f"arn:aws:lambda:{REGION}:{SECURITY}:function:{PREFIX}-monitor-{name.replace('_', '-')}"
    for name in ("ec2_instance", "fake")
}

# Roles of the response in member accounts, everything switched on that it can have, and in the
# Identity Center account.
OWN_ROLES = [
    *(
        f"{PREFIX}-{kind}-{name}"
        for name in ("ec2-instance", "iam-principal")
        for kind in ("responder", "collector", "restorer")
    ),
    f"{PREFIX}-terminator-ec2-instance",
    f"{PREFIX}-remediator-iam-principal",
]
CENTER_ROLES = [f"{PREFIX}-identity-center-{kind}" for kind in ("responder", "monitor", "restorer")]
OWN = [
    *(f"*:role/{name}" for name in OWN_ROLES),
    *(f"999999999999:role/{name}" for name in CENTER_ROLES),
]


def onlooker(service: Any, region: str = REGION, account: str = MEMBER) -> Any:
    """A client of another account that shares nothing with the response: for looking, and for
    what others do there.

    moto takes the account from a header, so no session is needed. Each test has clients of its
    own: some register what happens between two calls of one.
    """
    client = boto3.client(
        service, region_name=region, aws_access_key_id="onlooker", aws_secret_access_key="test"
    )

    def name_account(params: Any, **_: Any) -> None:
        params["headers"]["x-moto-account-id"] = account

    client.meta.events.register("before-call", name_account)
    return client


CONFIG: Json = {
    "version": 1,
    "name_prefix": PREFIX,
    "partition": "aws",
    "security_account": SECURITY,
    "paused": False,
    "remediations": {"CryptoCurrency:EC2/*": "auto"},
    "account_remediations": {},
    "minimum_severity": {},
    "active_playbooks": ["ec2_instance"],
    "playbooks": {
        "ec2_instance": {
            "quarantine_security_group_ids": {},
            "untrack_connections": False,
            "disassociate_elastic_ip": False,
            "auto_scaling": "detach",
            "deregister_targets": True,
            "protect_instance": True,
            "replace_instance_profile": True,
            "revoke_sessions": "instance",
            "other_role_sessions": True,
            "lookup_regions": [],
            "repeat_minutes": 20,
            "disable_metadata": False,
            "snapshot": True,
            "finish": "none",
            "capture_console": True,
            "copy_logs": True,
            "config_history_days": 7,
            "replacement_wait_minutes": 10,
            "terminate_keeps_volumes": True,
        },
        "iam_principal": {
            "console_password": "remove",
            "deactivate_mfa": True,
            "other_credentials": True,
            "revoke_sessions": "session",
            "user_role_sessions": True,
            "list_actions": True,
            "lookup_hours": 24,
            "lookup_regions": [],
            "repeat_minutes": 20,
            "config_history_days": 7,
            "remediate": [],
            "rotate_key": None,
            "restore": True,
            "trail_query": None,
            "identity_center": None,
        },
    },
    "guardrails": {
        "exempt_accounts": [],
        "exempt_resources": [],
        "exempt_principals": [],
        "approval_tag": {"key": PREFIX, "value": "ask"},
        "freeze_windows": [],
        "circuit_breaker": {"targets": 10, "minutes": 60},
        "management_account_id": None,
        "approval_timeout_minutes": 60,
    },
    "notifications": {"runbook_url": None},
    "evidence": {"log_window_minutes": 60, "forensics_account": None},
    "forensics": {
        "when": "off",
        "deadline_seconds": 60,
        "deadlines": {},
        "timeout_minutes": 30,
        "packet_capture_seconds": 20,
        "memory": {"linux": None, "windows": None},
        "commands": {"linux": 0, "windows": 0},
    },
    "responder": {"role_path": "/", "quarantine_profile": f"{PREFIX}-quarantine", "own_roles": OWN},
}


def document(changes: Json) -> str:
    """Returns the configuration as Terraform writes it, with ``changes`` merged into its objects.

    "a.b" names a nested object.
    """
    found = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = found
        for name in parents:
            node = node[name]
        node[last] = value
    return json.dumps(found)


def plain(item: Json) -> Json:
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


@lru_cache
def _client(service: Any) -> Any:
    """Returns a client, made once: reading botocore's models is most of a test's time."""
    return boto3.client(
        service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )


@contextmanager
def deployed() -> Iterator[Deployment]:
    """Makes a deployment in an environment of its own, and ends what the test left running."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "GDR_"))]:
        del os.environ[name]
    os.environ["AWS_DEFAULT_REGION"] = REGION
    configuration.load.cache_clear()
    try:
        with mock_aws():
            yield Deployment()
            drain()
    finally:
        configuration.load.cache_clear()
        os.environ.clear()
        os.environ.update(kept)


class Deployment:
    """Holds everything that a function meets, and shows what people and auditors see of it."""

    def __init__(self) -> None:
        names = ("dynamodb", "s3", "sns", "sqs", "stepfunctions", "iam")
        self.dynamodb, self.s3, self.sns, self.sqs, self.sfn, self.iam = (
            _client(name) for name in names
        )
        create_table(self.dynamodb, TABLE)
        self.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self.queues = {
            name: self._queue(name) for name in ("notifications", "escalations", "dead-letters")
        }
        self.topics = {name: self._topic(name) for name in ("notifications", "escalations")}
        role = self.iam.create_role(RoleName="machine", AssumeRolePolicyDocument="{}")["Role"][
            "Arn"
        ]
        for name in ("incident", "notice"):
            self.sfn.create_state_machine(
                name=f"{PREFIX}-{name}",
                roleArn=role,
                definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            )
        os.environ |= {
            "GDR_TABLE": TABLE,
            "GDR_BUCKET": BUCKET,
            "GDR_NAME_PREFIX": PREFIX,
            "GDR_TOPIC_ARN": self.topics["notifications"],
            "GDR_ESCALATION_TOPIC_ARN": self.topics["escalations"],
            "GDR_INCIDENT_MACHINE_ARN": f"{MACHINES}incident",
            "GDR_NOTICE_MACHINE_ARN": f"{MACHINES}notice",
            "GDR_DEAD_LETTERS_URL": self.queues["dead-letters"],
            "GDR_PLAYBOOK": "ec2_instance",
            "GDR_RESPONDER_ROLE": f"{PREFIX}-responder-ec2-instance",
            "GDR_MONITOR_ROLE": f"{PREFIX}-monitor-ec2-instance",
            "GDR_MONITOR_FUNCTIONS": json.dumps(MONITORS),
            "GDR_MONITOR_INTERVALS": json.dumps({"first_day": 15, "first_week": 60, "later": 360}),
            "GDR_MONITOR_IN_FLIGHT": "2",
        }
        self.configure()
        self.invoked: list[tuple[str, Json]] = []  # function's ARN and payload, since last asked
        catch_invocations(self.invoked)

    def _queue(self, name: str) -> str:
        return str(self.sqs.create_queue(QueueName=f"{PREFIX}-{name}")["QueueUrl"])

    def _topic(self, name: str) -> str:
        arn = str(self.sns.create_topic(Name=f"{PREFIX}-{name}")["TopicArn"])
        queue = f"arn:aws:sqs:{REGION}:{self.queues[name].split('/')[-2]}:{PREFIX}-{name}"
        self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
        return arn

    def configure(self, changes: Json | None = None) -> str:
        """Stores a new configuration document, as terraform apply does; returns its hash."""
        text = document(changes or {})
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        self.store_document(f"{sha256}#1", text)
        os.environ["GDR_CONFIG_SHA256"] = sha256
        configuration.load.cache_clear()
        return sha256

    def store_document(self, sk: str, text: str) -> None:
        """Writes a configuration document, by hand."""
        values = {"pk": "CONFIG", "sk": sk, "document": text}
        self.dynamodb.put_item(
            TableName=TABLE, Item={k: TypeSerializer().serialize(v) for k, v in values.items()}
        )

    def forget_documents(self) -> None:
        """Removes every configuration document."""
        for item in self.items("CONFIG"):
            key = {name: {"S": item[name]} for name in ("pk", "sk")}
            self.dynamodb.delete_item(TableName=TABLE, Key=key)

    # -- what happens ------------------------------------------------------------------------------

    def start(self, name: str, machine: str = "incident", event: Any = None) -> str:
        """Starts an execution; returns its ARN."""
        return str(
            self.sfn.start_execution(
                stateMachineArn=MACHINES + machine, name=name, input=json.dumps(event)
            )["executionArn"]
        )

    def kill(self, arn: str) -> None:
        self.sfn.stop_execution(executionArn=arn, error="Killed", cause="by the test")

    # -- what is seen ------------------------------------------------------------------------------

    def messages(self, queue: str = "notifications") -> list[Json]:
        """Returns what arrived since the last call: Subject, Message, MessageAttributes."""
        found: list[Json] = []
        while got := self.sqs.receive_message(
            QueueUrl=self.queues[queue], MaxNumberOfMessages=10
        ).get("Messages"):
            for entry in got:
                self.sqs.delete_message(
                    QueueUrl=self.queues[queue], ReceiptHandle=entry["ReceiptHandle"]
                )
                found.append(json.loads(entry["Body"]))
        return found

    def items(self, pk: str) -> list[Json]:
        got = self.dynamodb.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )
        return [plain(item) for item in got["Items"]]

    def meta(self, incident_id: str) -> Json:
        [found] = [item for item in self.items(f"INCIDENT#{incident_id}") if item["sk"] == "META"]
        return found

    def targets(self, incident_id: str) -> list[Json]:
        """Returns the incident's targets, each with the containment that it is linked to."""
        return [
            self._with_containment(item)
            for item in self.items(f"INCIDENT#{incident_id}")
            if item["sk"].startswith("TARGET#")
        ]

    def _with_containment(self, link: Json) -> Json:
        if not link.get("generation"):
            return link
        parts: Json = {"BEFORE": {}, "ACTION": {}, "EVIDENCE": {}}
        state: Json = {}
        checks = []
        for item in self.items(f"CONTAINMENT#{link['arn']}"):
            generation, _, kind = item["sk"].partition("#")
            kind = kind.partition("#")[0]
            if generation != f"{int(link['generation']):04d}":
                continue
            if kind == "ACTION":
                parts[kind][item["name"]] = item
            elif kind in parts and "value" in item:  # else a state before that was taken back
                parts[kind][item["name"]] = item["value"]["inline"]
            elif kind == "CHECK":
                checks.append(item)
            elif kind in ("STATE", "WATCHED"):
                state |= item
        own = {name: value for name, value in link.items() if value or name not in state}
        return {
            **state,
            **own,
            "before": parts["BEFORE"],
            "actions": link["actions"] | parts["ACTION"],
            "evidence": parts["EVIDENCE"],
            "checks": [
                {name: value for name, value in check.items() if name not in ("pk", "sk", "of")}
                for check in checks
                if check["of"] == state.get("checks_at")
            ],
        }

    def timeline(self, incident_id: str) -> list[str]:
        return [
            item["event"]
            for item in self.items(f"INCIDENT#{incident_id}")
            if item["sk"].startswith("EVENT#")
        ]

    def incidents(self) -> list[Json]:
        return [
            plain(item)
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=TABLE)
            for item in page["Items"]
            if item["sk"] == {"S": "META"}
        ]

    def evidence(self, incident_id: str) -> dict[str, bytes]:
        """Returns the content of everything under the incident's prefix, by name."""
        prefix = f"incidents/{incident_id}/"
        keys = [
            stored_object["Key"]
            for stored_object in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get(
                "Contents", []
            )
        ]
        return {
            key.removeprefix(prefix): self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }
