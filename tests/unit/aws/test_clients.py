"""Clients, the responder's session, and which errors are worth repeating."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.errors import ResponseError, RoleUnavailable, TransientError
from guardduty_response.functions import runtime

from tests.unit.deployment import MEMBER, REGION, Deployment

ROLE = f"arn:aws:iam::{MEMBER}:role/guardduty-response-responder-ec2-instance"
POLICY = {"Version": "2012-10-17", "Statement": []}


def _error(code: str, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Op")


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (_error("Throttling"), True),
        (_error("RequestLimitExceeded"), True),
        (_error("SlowDown", 503), True),
        (_error("InternalError", 500), True),
        (_error("AccessDenied", 403), False),
        (_error("ValidationError"), False),
        (EndpointConnectionError(endpoint_url="x"), True),
        (ReadTimeoutError(endpoint_url="x"), True),
        (NoCredentialsError(), False),
        (ValueError("x"), False),
        (ResponseError("x"), False),
    ],
)
def test_what_is_worth_repeating(error: Exception, again: bool) -> None:
    assert is_transient(error) is again

    def work(_: Any) -> Any:
        raise error

    with pytest.raises(TransientError if again else type(error)):
        runtime.entry(work)({}, None)


def test_a_failure_is_one_line_without_the_finding(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Any) -> Any:
        raise ResponseError("x" * 5000)

    with pytest.raises(ResponseError):
        runtime.entry(work)(
            {"verb": "open", "event": {"secret": "s3cret"}, "incident_id": "inc-1"}, None
        )
    [line] = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["message"], logged["error"], logged["incident_id"]) == (
        "failed",
        "ResponseError",
        "inc-1",
    )
    assert len(line) < 1000
    assert "s3cret" not in line


class Sts:
    """An endpoint of STS. Answers AssumeRole with ``answer`` (an exception is raised)."""

    def __init__(self, region: str) -> None:
        self.meta = SimpleNamespace(region_name=region)
        self.answer: Exception | None = None
        self.asked: list[dict[str, Any]] = []

    def assume_role(self, **request: Any) -> Any:
        self.asked.append(request)
        if self.answer:
            raise self.answer
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA-{self.meta.region_name}",
                "SecretAccessKey": "s",
                "SessionToken": "t",
            }
        }


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch) -> dict[str, Sts]:
    """STS of each Region that is asked; the function's own is REGION's."""
    found: dict[str, Sts] = {}
    real = clients.client

    def client(service: str, region: str | None = None) -> Any:
        if service != "sts":
            return real(service, region)
        place = region or REGION
        return found.setdefault(place, Sts(place))

    monkeypatch.setattr(clients, "client", client)
    client("sts"), client("sts", "eu-west-1")
    return found


@pytest.fixture
def sts(endpoints: dict[str, Sts]) -> Sts:
    return endpoints[REGION]


def _use(region: str = "eu-west-1") -> str:
    """The access key that a client of a role session signs with."""
    client = clients.Session(ROLE, "s", region, POLICY).client("ec2")
    return str(client._request_signer._credentials.get_frozen_credentials().access_key)


def test_the_session_is_narrowed_and_named(deployment: Deployment, sts: Any) -> None:
    session = clients.Session(ROLE, "inc-1-contain" + "x" * 80, "eu-west-1", POLICY)
    ec2 = session.client("ec2")
    assert ec2.meta.region_name == "eu-west-1"
    assert session.client("ec2") is ec2
    assert ec2._request_signer._credentials.get_frozen_credentials().access_key == f"ASIA-{REGION}"
    [asked] = sts.asked
    assert asked["RoleArn"] == ROLE
    assert json.loads(asked["Policy"]) == POLICY
    assert (len(asked["RoleSessionName"]), asked["DurationSeconds"]) == (64, 900)


def test_a_role_that_is_not_there_is_said_with_what_to_do(deployment: Deployment, sts: Any) -> None:
    sts.answer = _error("AccessDenied", 403)
    with pytest.raises(
        RoleUnavailable,
        match=f"cannot assume {ROLE} in account {MEMBER}.*Deploy modules/responder-role",
    ):
        clients.Session(ROLE, "s", "eu-west-1", POLICY).client("ec2").describe_instances()


def test_throttled_sts_does_not_pass_for_a_missing_role(deployment: Deployment, sts: Any) -> None:
    sts.answer = _error("Throttling")
    with pytest.raises(ClientError, match="Throttling"):
        clients.Session(ROLE, "s", "eu-west-1", POLICY).client("ec2").describe_instances()


def test_one_endpoint_is_asked_where_it_answers(
    deployment: Deployment, endpoints: dict[str, Sts]
) -> None:
    assert _use() == f"ASIA-{REGION}"
    assert {region: len(item.asked) for region, item in endpoints.items()} == {
        REGION: 1,
        "eu-west-1": 0,
    }


@pytest.mark.parametrize("said", ["RegionDisabledException", "InvalidClientTokenId"])
def test_a_home_region_that_the_member_does_not_use_is_gone_round(
    deployment: Deployment, endpoints: dict[str, Sts], said: str
) -> None:
    endpoints[REGION].answer = _error(said, 403)
    assert _use() == "ASIA-eu-west-1"
    assert endpoints["eu-west-1"].asked == endpoints[REGION].asked, (
        "the same session, narrowed as before"
    )


def test_where_no_region_is_in_use_that_is_what_is_said(
    deployment: Deployment, endpoints: dict[str, Sts]
) -> None:
    endpoints[REGION].answer, endpoints["eu-west-1"].answer = (
        _error("RegionDisabledException", 403),
        _error("InvalidClientTokenId"),
    )
    with pytest.raises(RoleUnavailable) as raised:
        _use()
    text = str(raised.value)
    assert f"{REGION} (RegionDisabledException) nor in eu-west-1 (InvalidClientTokenId)" in text
    assert MEMBER in text
    assert "modules/responder-role" not in text


def test_a_home_region_that_is_the_resource_s_own_is_asked_once(
    deployment: Deployment, endpoints: dict[str, Sts]
) -> None:
    endpoints[REGION].answer = _error("RegionDisabledException", 403)
    with pytest.raises(RoleUnavailable, match=f"does not use AWS STS in {REGION} "):
        _use(REGION)
    assert len(endpoints[REGION].asked) == 1


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("AccessDenied", RoleUnavailable, "Deploy modules/responder-role"),
        ("Throttling", ClientError, "Throttling"),
    ],
)
def test_what_the_second_region_says_counts(
    deployment: Deployment, endpoints: dict[str, Sts], said: str, kind: type[Exception], words: str
) -> None:
    endpoints[REGION].answer, endpoints["eu-west-1"].answer = (
        _error("RegionDisabledException", 403),
        _error(said),
    )
    with pytest.raises(kind, match=words):
        _use()


def test_the_trimmed_model_is_what_playbooks_use(deployment: Deployment) -> None:
    """Unless the installed botocore knows a newer API version, which then wins."""
    ours = set(clients.client("ec2").meta.service_model.operation_names)
    assert ours < set(
        boto3.client("ec2", region_name="eu-west-1").meta.service_model.operation_names
    )
    assert "TerminateInstances" not in ours


def test_each_session_signs_with_its_own_credentials(deployment: Deployment) -> None:
    """They share all of botocore's set-up, and nothing of who they are."""
    own: Any = clients.client("ec2")
    sessions: list[Any] = [
        clients.Session(ROLE, f"inc-{n}", REGION, POLICY).client("ec2") for n in range(2)
    ]
    later: Any = clients.client("iam")
    keys = [
        made._request_signer._credentials.get_frozen_credentials().access_key
        for made in (own, *sessions, later)
    ]
    assert len(set(keys)) == 3
    assert keys[0] == keys[-1]
