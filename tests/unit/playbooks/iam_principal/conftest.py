"""Every test gets an empty AWS of its own, and a clock that waits put forward."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import botocore.loaders
import pytest
from guardduty_response.aws import clients
from guardduty_response.cloudtrail import query
from guardduty_response.containment import chained_sessions, restoration
from guardduty_response.incident import (
    containments,
    repository,
    shared_settings,
    target_repository,
)
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import (
    plan_role_session,
    role,
)
from guardduty_response.playbooks.iam_principal.identity_center import contain as center_contain
from guardduty_response.playbooks.iam_principal.identity_center import verify as center_verify
from moto.core.botocore_stubber import BotocoreStubber

from tests.unit.background import drain
from tests.unit.deployment import Deployment
from tests.unit.playbooks.iam_principal.center_lab import OTHER, CenterLab
from tests.unit.playbooks.iam_principal.center_lab import extend as extend_center
from tests.unit.playbooks.iam_principal.function_steps import OpenIncident
from tests.unit.playbooks.iam_principal.iam_account import REGION
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import extend
from tests.unit.playbooks.own_aws import empty_aws, one_at_a_time

_FULL = botocore.loaders.create_loader()


@pytest.fixture
def untrimmed_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own models, as the restore function has them: its zip has no trimmed model of
    IAM.
    """
    monkeypatch.setattr(
        clients,
        "_loader",
        lambda: _FULL,
    )


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[IamLab]:
    for module in (query, restoration):
        monkeypatch.setattr(
            module,
            "PAUSE_SECONDS",
            0,
        )
    monkeypatch.setattr(
        shared_settings,
        "SPREAD_SECONDS",
        0,
    )  # moto shows a change at once
    monkeypatch.setattr(
        random,
        "uniform",
        lambda *_: 0.0,
    )  # of retry_on_conflict's waits
    monkeypatch.setattr(
        BotocoreStubber,
        "process_request",
        one_at_a_time(),
    )
    extend(monkeypatch)
    with empty_aws(monkeypatch, REGION):
        lab = IamLab().build()
        _put_clock_forward(lab, monkeypatch)
        yield lab
        drain()
        for line in lab.log:  # shown when the test failed
            print(line)
        assert lab.refused == [], "every session policy must allow what its session asks for"


def _put_clock_forward(lab: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every clock of the response goes by ``lab.clock_offset``."""
    real = time.time

    def now(seconds: float = 0) -> str:
        offset = timedelta(seconds=lab.clock_offset + seconds)
        return (datetime.fromtimestamp(real(), UTC) + offset).strftime("%Y-%m-%dT%H:%M:%SZ")

    monkeypatch.setattr(
        time,
        "time",
        lambda: real() + lab.clock_offset,
    )
    for module in (
        repository,
        target_repository,
        containments,
        drift,
        plan_role_session,
        center_verify,
        center_contain,
    ):
        monkeypatch.setattr(
            module,
            "now",
            now,
        )
    for module in (role, chained_sessions):
        monkeypatch.setattr(
            module,
            "now_rounded_up",
            lambda: now(1),
        )


@pytest.fixture
def center(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> CenterLab:
    """Carol signed in with PowerUser, which dave has too; she also has Console, and Audit by a
    group, in another account.
    """
    lab = extend_center(CenterLab(iam), monkeypatch)
    lab.permission_set("PowerUser")
    lab.permission_set("Audit", policy="")
    lab.permission_set("Console")
    lab.permission_set("Billing")
    lab.person("carol", "auditors")
    lab.person("dave", "billers")
    lab.person("erin", "auditors")
    lab.assign("PowerUser", "carol")
    lab.assign("PowerUser", "dave")
    lab.assign("Console", "carol")
    lab.assign(
        "Audit",
        "auditors",
        OTHER,
    )
    lab.assign("Billing", "billers")
    return lab.signed_in("carol", "PowerUser")


@pytest.fixture
def open_incident(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> OpenIncident:
    """Opens an incident of a finding, as the state machine does, and returns its ID."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    monkeypatch.setenv("GDR_RESPONDER_ROLE", "guardduty-response-responder-iam-principal")
    return OpenIncident(deployment)


@pytest.fixture
def world(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> IamLab:
    """Alice, and roles that she gets sessions of."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    iam.user()
    for name in ("admin", "batch"):
        iam.role(name, session=None)
    return iam
