"""What ``moto_requests`` builds is what moto builds, and the same function answers it."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict

from tests.support import moto_requests

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
TARGET = {"X-Amz-Target": "DynamoDB_20120810.GetItem", "User-Agent": b"own", "X-a": "1"}
JSON = {"Content-Type": "application/x-amz-json-1.0", **TARGET}


@pytest.mark.parametrize(
    ("url", "headers", "body"),
    [
        ("https://dynamodb.eu-central-1.amazonaws.com/", JSON, b'{"TableName": "t"}'),
        ("https://ec2.eu-central-1.amazonaws.com/", FORM, "Action=DescribeInstances&Name=%C3%A4"),
        ("http://iam.amazonaws.com:8080/", FORM, b""),
        ("https://s3.amazonaws.com/bucket/a%2Fkey?list-type=2", {"x-amz-meta-a_b": "c"}, b"x"),
    ],
)
def test_a_request_is_as_moto_builds_it(url: str, headers: dict[str, Any], body: Any) -> None:
    own = moto_requests.plain("POST", url, HeadersDict(headers), body)
    motos = moto_requests._make("POST", url, HeadersDict(headers), body)
    for name in ("url", "raw_url", "method", "data", "form", "args", "content_length", "mimetype"):
        assert getattr(own, name) == getattr(motos, name), name
    assert sorted(own.headers.items()) == sorted(motos.headers.items())
    left_out = {"werkzeug.request", "wsgi.input", "wsgi.errors"}
    assert {key: value for key, value in own.environ.items() if key not in left_out} == {
        key: value for key, value in motos.environ.items() if key not in left_out
    }


@pytest.mark.parametrize("service", ["ec2", "dynamodb", "s3", "iam"])
def test_the_same_function_answers(service: str) -> None:
    backends: Any = importlib.import_module("moto.backends").get_backend(service)
    account = backends["123456789012"]
    backend = account["eu-central-1" if "eu-central-1" in account else "aws"]
    assert backend.urls == moto_requests._urls(backend)
    assert backend.urls
