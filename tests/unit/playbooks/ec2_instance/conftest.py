"""Every test gets an empty AWS of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

# read when moto is imported
os.environ.setdefault("MOTO_AMIS_PATH", str(Path(__file__).with_name("amis.json")))

import botocore.loaders
import pytest
from guardduty_response.aws import clients
from guardduty_response.cloudtrail import query
from guardduty_response.containment import restoration
from guardduty_response.playbooks.ec2_instance.evidence import instance_description
from moto.core.botocore_stubber import BotocoreStubber

from sandbox.emulator import moto_quotas  # noqa: F401  (of security groups)
from tests.unit.background import drain
from tests.unit.playbooks import iam_quotas
from tests.unit.playbooks.ec2_instance import trunk_moto
from tests.unit.playbooks.ec2_instance.ec2_lab import REGION, Lab
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab
from tests.unit.playbooks.ec2_instance.first_change_lab import prepare
from tests.unit.playbooks.own_aws import empty_aws, one_at_a_time

_FULL = botocore.loaders.create_loader()
AnyLab = TypeVar("AnyLab", bound=Lab)


@pytest.fixture
def full_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The AWS models of the runtime, for functions whose zips have no trimmed models."""
    monkeypatch.setattr(clients, "_loader", lambda: _FULL)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """An account for the responder, with the trimmed models of its zip."""
    yield from _account(monkeypatch, Lab)


@pytest.fixture
def prepared(lab: Lab) -> Lab:
    """An instance with two interfaces, in a VPC that has the quarantine group."""
    prepare(lab)
    return lab


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch, full_models: None) -> Iterator[EvidenceLab]:
    """An account for the collector."""
    yield from _account(monkeypatch, EvidenceLab)


def _account(monkeypatch: pytest.MonkeyPatch, kind: type[AnyLab]) -> Iterator[AnyLab]:
    for module in (query, restoration):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    pauses = (0,) * len(instance_description.PAUSES)
    monkeypatch.setattr(instance_description, "PAUSES", pauses)
    monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time())
    iam_quotas.enforce(monkeypatch)
    trunk_moto.extend(monkeypatch)
    with empty_aws(monkeypatch, REGION):
        made = kind()
        yield made
        drain()
        assert made.refused == [], "every session policy must allow what its session asks for"
        for line in made.notified:  # shown when the test failed
            print(line)
        assert not [call for call in made.calls if call.service == "ssm"], (
            "containment must not depend on SSM"
        )
