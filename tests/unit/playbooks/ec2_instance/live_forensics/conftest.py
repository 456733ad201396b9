"""Every test of live forensics gets an AWS of its own, with a Systems Manager that answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from guardduty_response.playbooks.ec2_instance.evidence import forensics, uploads

from tests.unit.background import drain
from tests.unit.playbooks.ec2_instance.ec2_lab import REGION
from tests.unit.playbooks.ec2_instance.live_forensics.forensics_lab import BUCKET, ForensicsLab
from tests.unit.playbooks.own_aws import empty_aws


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, own_aws: None
) -> Iterator[ForensicsLab]:
    made = ForensicsLab(region=getattr(request, "param", REGION))
    clock = SimpleNamespace(time=lambda: made.clock, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr(forensics, "time", clock)
    made.build()
    yield made
    assert made.refused == []
    # What people can read: the record, and what was asked of Systems Manager but the parameter
    # itself.
    assert "X-Amz-" not in json.dumps(made.stored_record(), default=str)


@pytest.fixture
def own_aws(monkeypatch: pytest.MonkeyPatch, full_models: None) -> Iterator[None]:
    monkeypatch.setenv("GDR_BUCKET", BUCKET)
    with empty_aws(monkeypatch, REGION, uploads._s3):
        yield
        drain()
