"""Event buses of other accounts and Regions: what reaches them, what they refuse, and where a
failed delivery ends.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import seed, settings
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, SECURITY, Identity, allow
from tests.support.patience import until, within

Json = dict[str, Any]
HOME, AWAY = settings.REGIONS
MEMBER_B = settings.SECOND_MEMBER_ACCOUNT
OUTSIDE = "555555555555"
BUS = f"arn:aws:events:{HOME}:{SECURITY}:event-bus/default"
ORGANIZATION: Json = {"aws:PrincipalOrgID": settings.ORGANIZATION_ID}


class Way:
    """Rules that send events of one detail type to other buses, and queues where they and the
    lost ones arrive.
    """

    def __init__(self, aws: Aws, identity: Identity) -> None:
        self.aws, self.identity = aws, identity
        self.kind = f"k-{secrets.token_hex(4)}"
        self._made: list[tuple[Any, str]] = []

    def queue(self, account: str, region: str, name: str) -> tuple[Callable[..., list[Json]], str]:
        """(read its messages, ARN) of a queue that rules may send to."""
        sqs, name = self.aws.client("sqs", account, region=region), f"{self.kind}-{name}"
        arn = f"arn:aws:sqs:{region}:{account}:{name}"
        policy = allow("sqs:SendMessage", arn)
        policy["Statement"][0]["Principal"] = {"Service": "events.amazonaws.com"}
        url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})[
            "QueueUrl"
        ]

        def read(seconds: float | None = None) -> list[Json]:
            """Return the messages once some have come; ``seconds``: where none shall come."""

            def look() -> list[Json]:
                found = sqs.receive_message(
                    QueueUrl=url, MessageAttributeNames=["All"], VisibilityTimeout=0
                )
                return list(found.get("Messages", []))

            if seconds is None:
                return until(look, f"a message is in {name}")
            return within(look, seconds)

        return read, arn

    def rule(self, account: str, region: str, target: str, kind: str = "", **more: object) -> str:
        """Return a rule for the events, or for those of another detail type; its ARN."""
        events = self.aws.client("events", account, region=region)
        name = f"{self.kind}-{secrets.token_hex(2)}"
        arn = events.put_rule(
            Name=name, EventPattern=json.dumps({"detail-type": [kind or self.kind]})
        )["RuleArn"]
        self._made.append((events, name))
        events.put_targets(
            Rule=name,
            Targets=[
                {
                    "Id": "t",
                    "Arn": target,
                    **more,
                }
            ],
        )
        return str(arn)

    def role(self, account: str, bus: str = BUS) -> str:
        """Return a role that EventBridge takes to put events on a bus."""
        return self.identity.role(
            allow("events:PutEvents", bus), account=account, service="events.amazonaws.com"
        )

    def arrivals(self) -> Callable[..., list[Json]]:
        """Return what arrives on the home bus."""
        read, arn = self.queue(SECURITY, HOME, "arrived")
        self.rule(SECURITY, HOME, arn)
        return lambda seconds=None: [json.loads(message["Body"]) for message in read(seconds)]

    def put(self, account: str, region: str, source: str = "aws.guardduty") -> str:
        entry = {
            "Source": source,
            "DetailType": self.kind,
            "Detail": "{}",
        }
        answer = self.aws.client("events", account, region=region).put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer
        return str(answer["Entries"][0]["EventId"])

    def clear(self) -> None:
        for events, name in self._made:
            events.remove_targets(Rule=name, Ids=["t"])
            events.delete_rule(Name=name)


@pytest.fixture
def way(aws: Aws, identity: Identity) -> Iterator[Way]:
    made = Way(aws, identity)
    yield made
    made.clear()


@pytest.fixture
def let_in(aws: Aws) -> Iterator[Callable[..., None]]:
    """Give the home bus a policy of one statement with these conditions."""
    events = aws.client("events", SECURITY)

    def put(effect: str = "Allow", **condition: object) -> None:
        statement = {
            "Sid": "x",
            "Effect": effect,
            "Principal": "*",
            "Action": "events:PutEvents",
            "Resource": BUS,
        }
        document = {
            "Version": "2012-10-17",
            "Statement": [{**statement, "Condition": condition} if condition else statement],
        }
        events.put_permission(Policy=json.dumps(document))
        assert json.loads(events.describe_event_bus()["Policy"]) == document

    yield put
    events.remove_permission(RemoveAllPermissions=True)


@pytest.mark.smoke
def test_a_region_sends_home_and_the_event_stays_as_it_was(way: Way) -> None:
    """The account's own bus: the role of the target is enough."""
    arrived = way.arrivals()
    way.rule(SECURITY, AWAY, BUS, RoleArn=way.role(SECURITY))
    event = way.put(SECURITY, AWAY)
    [found] = arrived()
    assert found["id"] == event
    assert found["account"] == SECURITY
    assert found["region"] == AWAY


def test_without_the_right_it_goes_to_the_queue_in_the_rules_region(way: Way) -> None:
    arrived, (dead, dead_arn) = way.arrivals(), way.queue(SECURITY, AWAY, "dead")
    role = way.role(SECURITY, BUS.replace("default", "other"))
    rule = way.rule(SECURITY, AWAY, BUS, RoleArn=role, DeadLetterConfig={"Arn": dead_arn})
    way.put(SECURITY, AWAY)
    [message] = dead()
    attributes = {
        name: value["StringValue"] for name, value in message["MessageAttributes"].items()
    }
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["RULE_ARN"] == rule
    assert attributes["TARGET_ARN"] == BUS
    assert json.loads(message["Body"])["detail-type"] == way.kind
    assert arrived(0.3) == []


def test_a_queue_of_another_region_takes_no_dead_letters(way: Way) -> None:
    dead, dead_arn = way.queue(SECURITY, HOME, "dead")
    way.rule(
        SECURITY,
        AWAY,
        BUS.replace("default", "nowhere"),
        RoleArn=way.role(SECURITY),
        DeadLetterConfig={"Arn": dead_arn},
    )
    way.put(SECURITY, AWAY)
    assert dead(0.5) == []


def test_another_account_needs_the_bus_policy_as_well(
    way: Way, let_in: Callable[..., None]
) -> None:
    arrived, (dead, dead_arn) = way.arrivals(), way.queue(MEMBER, AWAY, "dead")
    way.rule(MEMBER, AWAY, BUS, RoleArn=way.role(MEMBER), DeadLetterConfig={"Arn": dead_arn})
    way.put(MEMBER, AWAY)
    [message] = dead()
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert f"The policy of {BUS}" in message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert arrived(0.3) == []
    let_in(StringEquals=ORGANIZATION)
    event = way.put(MEMBER, AWAY)
    [found] = arrived()
    assert found["id"] == event
    assert found["account"] == MEMBER
    assert found["region"] == AWAY


@pytest.mark.parametrize(
    ("account", "there"), [(MEMBER_B, True), (settings.NEW_ACCOUNT, True), (OUTSIDE, False)]
)
def test_the_organization_is_let_in_and_nobody_else(
    way: Way, let_in: Callable[..., None], account: str, there: bool
) -> None:
    arrived = way.arrivals()
    way.rule(account, HOME, BUS, RoleArn=way.role(account))
    let_in(StringEquals=ORGANIZATION)
    way.put(account, HOME)
    assert bool(arrived(None if there else 0.5)) == there


@pytest.mark.parametrize(
    ("condition", "there"),
    [
        ({"StringEquals": {"events:source": "aws.guardduty"}}, True),
        ({"StringEquals": {"events:source": ["aws.ec2", "aws.iam"]}}, False),
        ({"StringEquals": {"events:detail-type": "KIND"}}, True),
        ({"StringEquals": {"events:detail-type": "AWS API Call via CloudTrail"}}, False),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:events:*:{MEMBER}:rule/KIND*"}}, True),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:events:*:{MEMBER}:rule/other"}}, False),
        ({"StringEquals": {"aws:SourceAccount": MEMBER_B}}, False),
        ({"Bool": {"events:eventBusInvocation": "true"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{MEMBER}:role/role-*"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{MEMBER}:role/forwarder-*"}}, False),
    ],
)
def test_the_conditions_of_the_bus_policy_count(
    way: Way, let_in: Callable[..., None], condition: Json, there: bool
) -> None:
    arrived = way.arrivals()
    way.rule(MEMBER, HOME, BUS, RoleArn=way.role(MEMBER))
    let_in(**json.loads(json.dumps(condition).replace("KIND", way.kind)))
    way.put(MEMBER, HOME)
    assert bool(arrived(None if there else 0.5)) == there


def test_what_the_bus_policy_denies_is_denied_to_its_own_account(
    way: Way, let_in: Callable[..., None]
) -> None:
    arrived = way.arrivals()
    way.rule(SECURITY, AWAY, BUS, RoleArn=way.role(SECURITY))
    let_in("Deny", StringEquals={"events:source": "aws.guardduty"})
    way.put(SECURITY, AWAY)
    assert arrived(0.5) == []


def test_a_role_that_eventbridge_may_not_assume_sends_nothing(way: Way, identity: Identity) -> None:
    arrived = way.arrivals()
    wrong = identity.role(
        allow("events:PutEvents", BUS), account=SECURITY, service="lambda.amazonaws.com"
    )
    way.rule(SECURITY, AWAY, BUS, RoleArn=wrong)
    way.put(SECURITY, AWAY)
    assert arrived(0.5) == []


def test_there_is_no_second_hop(way: Way, let_in: Callable[..., None]) -> None:
    """Member -> its account's other Region -> home: the second rule is left alone."""
    arrived = way.arrivals()
    between = f"arn:aws:events:{HOME}:{MEMBER}:event-bus/default"
    let_in(StringEquals=ORGANIZATION)
    way.rule(MEMBER, AWAY, between, RoleArn=way.role(MEMBER, between))
    way.rule(MEMBER, HOME, BUS, RoleArn=way.role(MEMBER))
    way.put(MEMBER, AWAY)
    assert arrived(0.5) == []
    way.put(MEMBER, HOME)
    assert arrived()


def test_a_target_on_another_bus_needs_a_role(way: Way) -> None:
    with pytest.raises(ClientError, match="RoleArn is required"):
        way.rule(SECURITY, AWAY, BUS)


def test_a_statement_of_the_older_form_counts(way: Way, aws: Aws) -> None:
    events = aws.client("events", SECURITY)
    arrived = way.arrivals()
    way.rule(MEMBER, HOME, BUS, RoleArn=way.role(MEMBER))
    condition = {
        "Type": "StringEquals",
        "Key": "aws:PrincipalOrgID",
        "Value": settings.ORGANIZATION_ID,
    }
    events.put_permission(
        StatementId="org", Principal="*", Action="events:PutEvents", Condition=condition
    )
    way.put(MEMBER, HOME)
    assert arrived()
    events.remove_permission(StatementId="org")
    assert "Policy" not in events.describe_event_bus()


# -- the rest of a Region --------------------------------------------------------------------------


def test_changes_are_told_in_the_region_of_the_call(way: Way, aws: Aws) -> None:
    queues = {}
    for region in settings.REGIONS:
        queues[region], arn = way.queue(MEMBER_B, region, "trail")
        way.rule(MEMBER_B, region, arn, "AWS API Call via CloudTrail")
    aws.client("ec2", MEMBER_B, region=AWAY).create_vpc(CidrBlock="10.9.0.0/16")
    # IAM tells in us-east-1 alone
    aws.client("iam", MEMBER_B, region=AWAY).create_user(UserName="away")
    for region, name in ((AWAY, "CreateVpc"), (HOME, "CreateUser")):
        [event] = [json.loads(message["Body"]) for message in queues[region]()]
        assert event["detail"]["eventName"] == name
        assert event["account"] == MEMBER_B
        assert event["region"] == region


def test_instances_are_of_an_account_and_region(aws: Aws) -> None:
    """The gateway hands the Region of the request on to moto; IAM is checked with it."""
    plain: dict[str, Any] = {
        "interfaces": 1,
        "profile_attached": False,
        "in_asg": False,
        "target_group": False,
        "elastic_ip": False,
    }
    places = [(account, region) for account in (MEMBER, MEMBER_B) for region in settings.REGIONS]
    made = {place: seed.instance(aws, place[0], region=place[1], **plain) for place in places}
    assert len({victim.instance for victim in made.values()}) == 4
    for (account, region), victim in made.items():
        assert victim.account == account
        assert victim.region == region
        shown = seed.describe(aws.at(region), account, victim.instance)
        assert shown["Placement"]["AvailabilityZone"] == f"{region}a"
        for place in places:
            if place != (account, region):
                with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
                    seed.describe(aws.at(place[1]), place[0], victim.instance)


def test_rights_in_one_region_are_none_in_another(aws: Aws, identity: Identity) -> None:
    policy = allow("ec2:CreateSecurityGroup", f"arn:aws:ec2:{AWAY}:{MEMBER}:*")
    session = identity.session(identity.role(policy))
    for region in settings.REGIONS:
        vpc = aws.client("ec2", MEMBER, region=region).create_vpc(CidrBlock="10.8.0.0/16")["Vpc"][
            "VpcId"
        ]
        ec2 = aws.client("ec2", MEMBER, region=region, **session)
        if region == AWAY:
            assert ec2.create_security_group(
                GroupName="g",
                Description="d",
                VpcId=vpc,
            )["GroupId"]
            continue
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            ec2.create_security_group(
                GroupName="g",
                Description="d",
                VpcId=vpc,
            )
