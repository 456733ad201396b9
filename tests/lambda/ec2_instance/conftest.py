"""Every test gets an empty AWS of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ec2_lab import REGION, Lab
from moto import mock_aws

from guardduty_response import aws


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        aws.client.cache_clear()
        aws._own.cache_clear()
        made = Lab()
        yield made
        assert not [call for call in made.calls if call.service == "ssm"], "containment must not depend on SSM"
    aws.client.cache_clear()
    aws._own.cache_clear()
