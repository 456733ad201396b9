"""The commands for what people undo: AWS CLI commands that exist, and that name every resource of
the call.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from guardduty_response.playbooks.iam_principal.eradicate import manual_commands
from guardduty_response.playbooks.iam_principal.reversals.changes import MOST_COMMAND, parse

from tests.unit.deployment import MEMBER, REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import EradicationLab

Json = dict[str, Any]
CLI_NAMES = {"s3api": "s3", "configservice": "config"}  # the CLI's name -> botocore's
OFFICE = {"from": "203.0.113.10", "at": "2025-12-31T10:00:00Z"}  # the owner's own work


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(CLI_NAMES.get(name, name))


@pytest.mark.parametrize("event", manual_commands.COMMANDS)
def test_a_command_is_one_of_the_aws_cli(event: str) -> None:
    """Its operation and its options exist, and none that is required is missing."""
    service, command, *words = manual_commands.COMMANDS[event].split()
    model = _service(service)
    operations = {xform_name(name).replace("_", "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[command]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members} if shape else {}
    options = [word.removeprefix("--") for word in words if word.startswith("--")]
    known = {
        **members,
        **{f"no-{name}": name for name in members},
        "group-id": "GroupId",
        "source-identifier": "",
    }
    assert set(options) <= set(known), set(options) - set(known)
    required = set(shape.required_members if shape else [])
    given = {known[option] for option in options}
    missing = {
        name
        for name in required - given
        if not shape.members[name].metadata.get("idempotencyToken")
    }
    assert missing == set(), missing


def _commands(event: str, parameters: Any, response: Any = None) -> list[str]:
    source, _, name = event.partition(":")
    change = parse(
        {
            "id": "e-1",
            "name": name,
            "source": f"{source}.amazonaws.com",
            "region": REGION,
            "account": MEMBER,
            "parameters": parameters,
            "response": response,
        }
    )
    assert change
    return manual_commands.commands_for(change)


def _items(*ids: str) -> Json:
    return {"instancesSet": {"items": [{"instanceId": id} for id in ids]}}


RESOLVER = {"name": "dns", "destinationArn": "arn:aws:s3:::dns", "id": "rqlc-1"}
FLOW = {"DeleteFlowLogsRequest": {"FlowLogId": {"tag": 1, "content": "fl-1"}}}


@pytest.mark.parametrize(
    ("event", "parameters", "response", "words"),
    [
        ("rolesanywhere:CreateTrustAnchor", {}, {"trustAnchor": {"trustAnchorId": "t-1"}}, "t-1"),
        ("rolesanywhere:CreateProfile", {}, {"profile": {"profileId": "p-1"}}, "p-1"),
        ("ec2-instance-connect:SendSSHPublicKey", {"instanceId": "i-1"}, {}, "i-1"),
        ("ec2-instance-connect:SendSerialConsoleSSHPublicKey", {"instanceId": "i-1"}, {}, "i-1"),
        (
            "route53resolver:DeleteResolverQueryLogConfig",
            {"resolverQueryLogConfigId": "rqlc-1"},
            {"resolverQueryLogConfig": RESOLVER},
            "--name dns --destination-arn arn:aws:s3:::dns --creator-request-id rqlc-1",
        ),
        ("bedrock:PutFoundationModelEntitlement", {"modelId": "m:0"}, {}, "--model-id m:0"),
        ("bedrock:CreateFoundationModelAgreement", {"modelId": "m:0"}, {}, "--model-id m:0"),
        ("ssm:TerminateSession", {"sessionId": "ada-1"}, {}, "key=SessionId,value=ada-1"),
        ("iam:DeleteLoginProfile", {"userName": "bob"}, {}, "--user-name bob"),
        ("ec2:DeleteFlowLogs", FLOW, {}, "--resource-id fl-1"),
        ("organizations:LeaveOrganization", None, {}, f"Id={MEMBER},Type=ACCOUNT"),
        ("guardduty:DeleteDetector", {"detectorId": "d-1"}, {}, "--client-token d-1"),
        (
            "lambda:AddPermission20150331v2",
            {"functionName": "f", "statementId": "backdoor"},
            {},
            "remove-permission --function-name f --statement-id backdoor",
        ),
        ("s3:PutBucketLifecycle", {"bucketName": "logs"}, {}, "lifecycle --bucket logs"),
    ],
)
def test_a_command_names_the_resource_of_the_event(
    event: str, parameters: Any, response: Any, words: str
) -> None:
    [command] = _commands(event, parameters, response)
    assert words in command and "lookup-events" not in command


@pytest.mark.parametrize(
    ("event", "parameters", "commands"),
    [
        (
            "ec2:StopInstances",
            _items(
                "i-1",
                "i-2",
                "i-3",
                "i-1",
            ),
            [f"aws ec2 start-instances --instance-ids i-1 i-2 i-3 --region {REGION}"],
        ),
        (
            "ec2:StartInstances",
            _items("i-1"),
            [f"aws ec2 stop-instances --instance-ids i-1 --region {REGION}"],
        ),
        (
            "guardduty:ArchiveFindings",
            {"detectorId": "d", "findingIds": ["a", "b"]},
            [
                "aws guardduty unarchive-findings --detector-id d --finding-ids a b --region"
                f" {REGION}"
            ],
        ),
        (
            "rds:ModifyDBSnapshotAttribute",
            {"dBSnapshotIdentifier": "s", "valuesToAdd": ["1", "all"]},
            [
                "aws rds modify-db-snapshot-attribute --attribute-name restore"
                f" --db-snapshot-identifier s --values-to-remove 1 all --region {REGION}"
            ],
        ),
        (
            "ec2:DeleteFlowLogs",
            {"DeleteFlowLogsRequest": {"FlowLogId": [{"content": "fl-1"}, {"content": "fl-2"}]}},
            [
                "aws configservice get-resource-config-history --resource-type AWS::EC2::FlowLog"
                f" --resource-id {id} --region {REGION}"
                for id in ("fl-1", "fl-2")
            ],
        ),
    ],
)
def test_every_resource_of_the_call_is_named(
    event: str, parameters: Json, commands: list[str]
) -> None:
    assert _commands(event, parameters) == commands


@pytest.mark.parametrize(
    "parameters", [{}, None, _items(), _items("i-1", ""), {"instancesSet": {"items": [{"a": 1}]}}]
)
def test_what_the_event_does_not_name_is_looked_up(parameters: Any) -> None:
    [command] = _commands("ec2:StopInstances", parameters)
    assert "AttributeKey=EventId,AttributeValue=e-1" in command


def test_many_resources_are_told_in_several_commands() -> None:
    ids = [f"i-{number:017}" for number in range(30)]
    commands = _commands("ec2:StopInstances", _items(*ids))
    assert 2 < len(commands) < 6 and max(map(len, commands)) <= MOST_COMMAND
    said = [word for command in commands for word in shlex.split(command)]
    assert [word for word in said if word.startswith("i-")] == ids
    # as many as the collector keeps of a list
    more = _commands("ec2:StopInstances", _items(*(f"i-{number:017}" for number in range(200))))
    assert "lookup-events" in more[-1]


def test_hostile_text_stays_one_word() -> None:
    [command] = _commands("ec2:StopInstances", _items("i-1; rm -rf /", "$(id)"))
    assert shlex.split(command)[4:6] == ["i-1; rm -rf /", "$(id)"]


def test_people_read_every_resource(lab: EradicationLab) -> None:
    ids = [f"i-{number:017}" for number in range(12)]
    lab.happened("ec2", "StopInstances", _items(*ids))
    lab.eradicate()
    assert len(lab.left) == 2
    assert all(id in " ".join(lab.left) for id in ids)
    assert all("aws ec2 start-instances" in sentence for sentence in lab.left)


def test_of_an_owners_launch_every_instance_is_told(lab: EradicationLab) -> None:
    made = lab.does(
        "ec2",
        "run_instances",
        also=OFFICE,
        ImageId="ami-1",
        MinCount=14,
        MaxCount=14,
    )
    lab.eradicate()
    ids = [instance["InstanceId"] for instance in made["Instances"]]
    assert all(id in " ".join(lab.left) for id in ids) and len(lab.left) == 2
    assert lab.changed() == []


@pytest.mark.parametrize("named", [True, False])
def test_of_rules_of_the_owner_every_one_is_told(lab: EradicationLab, named: bool) -> None:
    """By its ID, or by what was asked for where the answer has no IDs."""
    ports = range(8000, 8012)
    ids = [f"sgr-{port:017}" for port in ports]
    asked = [
        {
            "ipProtocol": "tcp",
            "fromPort": port,
            "toPort": port,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]},
        }
        for port in ports
    ]
    added = {"securityGroupRuleSet": {"items": [{"securityGroupRuleId": id} for id in ids]}}
    lab.happened(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        {"groupId": "sg-1", "ipPermissions": {"items": asked}},
        added if named else {},
        **OFFICE,
    )
    lab.eradicate()
    left = " ".join(lab.left)
    assert all(id in left for id in (ids if named else [f'"ToPort":{port}' for port in ports]))
    assert all("revoke-security-group-ingress" in sentence for sentence in lab.left)
    assert all("sg-1" in sentence for sentence in lab.left)


def test_a_call_that_nothing_is_known_of_says_what_it_named(lab: EradicationLab) -> None:
    lab.happened("newservice", "DeleteThing", {"thingId": "th-1", "force": True, "name": "a\nb"})
    lab.happened("newservice", "DeleteMore", {f"name{n}": "x" * 60 for n in range(9)})
    lab.eradicate()
    more, thing = lab.left
    assert "its request: thingId=th-1, name=a b" in thing and "lookup-events" in thing
    assert "lookup-events" in more and "AttributeKey=EventId" in more
    assert json.loads(json.dumps(lab.left)) and not re.search(r"[\n\r]", more)
