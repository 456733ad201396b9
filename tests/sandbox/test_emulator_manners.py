"""Throttling, conflicts and stale reads of the sandbox, switched on and off."""

from __future__ import annotations

import contextlib
import secrets
import time
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox import seed, settings
from sandbox.clients import Aws
from sandbox.emulator.manners import Manners
from sandbox.emulator.stale_reads import StaleReads, names_in
from tests.sandbox.emulator_helpers import ALLOW_ALL, Control, Identity

Make = Callable[..., seed.Victim]
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def manners(control: Control) -> Iterator[Callable[..., Any]]:
    """Switches manners on; they end with the test."""
    yield lambda **wanted: control("POST", "manners", wanted)
    control("DELETE", "manners")


@pytest.fixture
def other(aws: Aws, identity: Identity) -> Callable[[str], Any]:
    """A client of somebody who may do everything, is not root, and repeats nothing."""
    keys: dict[str, Any] = identity.session(identity.role(ALLOW_ALL))

    def client(service: str) -> Any:
        session: Any = boto3.session.Session(region_name=settings.REGION, **keys)
        return session.client(service, endpoint_url=aws.endpoint, config=ONCE)

    return client


@pytest.mark.smoke
def test_calls_beyond_a_bucket_are_throttled(
    aws: Aws, other: Callable[[str], Any], manners: Callable[..., Any]
) -> None:
    ec2, iam = other("ec2"), other("iam")
    ec2.describe_vpcs()
    manners(throttle=0.03)  # three reads of EC2 at once, one of IAM
    for _ in range(3):
        ec2.describe_vpcs()
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2.describe_vpcs()
    assert ec2.describe_subnets()["Subnets"], "each call has a bucket of its own"
    iam.list_users()
    with pytest.raises(ClientError, match="Throttling"):
        iam.list_users()
    assert all(aws.client("ec2").describe_vpcs() for _ in range(5)), "root is let through"
    time.sleep(2)  # at 0.6 a second
    assert ec2.describe_vpcs()


def test_changes_of_iam_conflict_now_and_then(
    other: Callable[[str], Any], manners: Callable[..., Any]
) -> None:
    iam, name = other("iam"), f"u-{secrets.token_hex(4)}"
    before = manners(conflicts=1)["met_conflicts"]
    with pytest.raises(ClientError, match="ConcurrentModification") as caught:
        iam.create_user(UserName=name)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert name not in [user["UserName"] for user in iam.list_users()["Users"]], "reads go on"
    assert manners(conflicts=2)["met_conflicts"] == before + 1
    done = 0
    for number in range(4):
        with contextlib.suppress(ClientError):
            done += bool(iam.create_user(UserName=f"{name}-{number}"))
    assert done == 2


@pytest.mark.smoke
def test_reads_answer_as_before_a_write(
    aws: Aws, other: Callable[[str], Any], manners: Callable[..., Any], victim: Make
) -> None:
    found, ec2 = victim(), other("ec2")
    own = aws.client("ec2").create_security_group(
        GroupName=f"g-{secrets.token_hex(4)}", Description="d", VpcId=found.vpc
    )["GroupId"]
    manners(stale_seconds=2)

    def groups(client: Any) -> list[str]:
        [shown] = client.describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [found.instance]}]
        )["NetworkInterfaces"]
        return [group["GroupId"] for group in shown["Groups"]]

    assert groups(ec2) == [found.security_group]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=found.interfaces[0], Groups=[own])
    assert groups(ec2) == [found.security_group]
    assert groups(aws.client("ec2")) == [own], "root sees what is"
    time.sleep(2.1)
    assert groups(ec2) == [own]
    manners(stale_seconds=0)
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=found.interfaces[0], Groups=[found.security_group]
    )
    assert groups(ec2) == [found.security_group]


def test_what_is_missing_is_missing_for_a_while(
    other: Callable[[str], Any], manners: Callable[..., Any]
) -> None:
    iam, name = other("iam"), f"u-{secrets.token_hex(4)}"
    manners(stale_seconds=30)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_user(UserName=name)
    iam.create_user(UserName=name)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_user(UserName=name)
    manners(stale_seconds=0)
    assert iam.get_user(UserName=name)["User"]["UserName"] == name


def test_a_wrong_manner_is_explained(control: Control, manners: Callable[..., Any]) -> None:
    for wrong in ({"throtle": 1}, {"stale_seconds": -1}, {"met_stale": 1}):
        with pytest.raises(urllib.error.HTTPError):
            manners(**wrong)
    assert control("GET", "manners")["throttle"] == 0


# -- without an emulator ---------------------------------------------------------------------------


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    manners = Manners(lambda: now[0])
    manners.update({"throttle": 1})

    def refused(calls: int, action: str = "ModifyInstanceAttribute", region: str = "a") -> int:
        met = [manners.refusal("ec2", action, "1", region) for _ in range(calls)]
        return sum(refusal is not None for refusal in met)

    assert refused(60) == 10, "50 at once"
    assert refused(1, region="b") == 0, "each Region has its own"
    now[0] += 2
    assert refused(15) == 5, "five a second come back"
    assert refused(110, "DescribeInstances") == 10
    assert manners.shown()["met_throttle"] == 25


def test_what_a_write_names() -> None:
    request = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "app"),
        ("GroupId.1", "sg-0123456789abcdef0"),
        ("AssociationId", "iip-assoc-0123456789abcdef0"),
        ("PolicyDocument", "i-0123456789abcdef0 inside of a text"),
    ]
    assert names_in(request) == {"app", "sg-0123456789abcdef0", "iip-assoc-0123456789abcdef0"}


def test_an_answer_is_kept_no_longer_than_so_many_seconds() -> None:
    now = [0.0]
    stale: StaleReads[str] = StaleReads(lambda: now[0])
    stale.seconds = 3

    def read(fresh: str, request: str = "of app", begun: int | None = None) -> str:
        begun = stale.begin("iam") if begun is None else begun
        return stale.answer("iam", request, fresh, fresh, begun)

    assert read("old") == "old"
    stale.write("iam", {"web"})
    assert read("new") == "new", "the write named something else"
    stale.write("ec2", {"app"})
    assert read("newer") == "newer", "the write was in another service"
    stale.write("iam", {"app"})
    now[0] = 2
    stale.write("iam", {"app"})
    assert read("newest") == "newer"
    now[0] = 3
    assert read("newest") == "newest", "three seconds after the first write"
    begun = stale.begin("iam")
    stale.write("iam", {"other"})
    assert read("during", "another", begun) == "during"
    stale.write("iam", {"another"})
    assert read("after", "another") == "after", "what a write came between is not kept"
    assert stale.hits == 1
