"""Every test gets an empty AWS of its own, and a clock that waits are put forward on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import botocore.loaders
import pytest
from guardduty_response.aws import clients
from guardduty_response.cloudtrail import actors, query
from guardduty_response.containment import restoration
from guardduty_response.incident import repository
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import chained_sessions, plan, role, verify
from guardduty_response.playbooks.iam_principal.identity_center import contain as center_contain
from guardduty_response.playbooks.iam_principal.identity_center import verify as center_verify
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from tests.unit.playbooks.iam_principal.center_lab import OTHER, CenterLab
from tests.unit.playbooks.iam_principal.center_lab import extend as extend_center
from tests.unit.playbooks.iam_principal.eradication_lab import one_at_a_time
from tests.unit.playbooks.iam_principal.iam_lab import REGION, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import extend

_FULL = botocore.loaders.create_loader()


@pytest.fixture
def iam(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[IamLab]:
    if "restored" in request.path.name:  # the restore function's zip has no trimmed model of IAM
        monkeypatch.setattr(clients, "_loader", lambda: _FULL)
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "t",
        "AWS_SECRET_ACCESS_KEY": "t",
    }.items():
        monkeypatch.setenv(name, value)
    for module in (query, restoration, actors):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)  # of core.patient's waits
    monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time())
    extend(monkeypatch)
    with mock_aws():
        clients.client.cache_clear()
        clients._own.cache_clear()
        lab = IamLab().build()
        _clock(lab, monkeypatch)
        yield lab
        for line in lab.told:  # shown when the test failed
            print(line)
        assert lab.refused == [], "every session policy must allow what its session asks for"
    clients.client.cache_clear()
    clients._own.cache_clear()


def _clock(lab: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time

    def at(seconds: float = 0) -> str:
        moment = datetime.fromtimestamp(real(), UTC) + timedelta(seconds=lab.ahead + seconds)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    monkeypatch.setattr(time, "time", lambda: real() + lab.ahead)
    for module in (repository, verify, drift, plan, center_verify, center_contain):
        monkeypatch.setattr(module, "now", at)
    for module in (role, chained_sessions):
        monkeypatch.setattr(module, "now_rounded_up", lambda: at(1))


@pytest.fixture
def center(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> CenterLab:
    """Carol signed in with PowerUser, which dave has too; she also has Console, and Audit by a
    group, in another account.
    """
    lab = extend_center(CenterLab(iam), monkeypatch)
    lab.permission_set("PowerUser").permission_set("Audit", policy="").permission_set(
        "Console"
    ).permission_set("Billing")
    lab.person("carol", "auditors").person("dave", "billers").person("erin", "auditors")
    lab.assign("PowerUser", "carol").assign("PowerUser", "dave").assign("Console", "carol")
    lab.assign("Audit", "auditors", OTHER).assign("Billing", "billers")
    return lab.signed_in("carol", "PowerUser")
