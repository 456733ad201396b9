"""Provides the unit tests' fixtures: a deployment in moto, an open incident, a fake playbook."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.client import BaseClient
from guardduty_response.aws import clients
from guardduty_response.incident.model import TargetReference
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status
from guardduty_response.monitoring import dispatch, reading

from sandbox.emulator import moto_speed  # noqa: F401  (half of moto's time)
from tests.support import boto_speed, leading_keys, moto_dynamodb, moto_requests
from tests.support.repository import load_finding
from tests.unit.deployment import TABLE, Deployment, deployed
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, target

boto_speed.hasten()
moto_requests.hasten()
moto_dynamodb.take_turns()
leading_keys.enforce()


@pytest.fixture(scope="session")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zips as the sources give them, built once."""
    from tests.unit import packaging

    directory = tmp_path_factory.mktemp("zips") / "dist"
    with pytest.MonkeyPatch.context() as patch:
        packaging.built(directory, patch)
    return directory


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with deployed() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readings of a check follow each other at once, and nobody waits for a slot."""
    monkeypatch.setattr(
        reading,
        "REREAD_SECONDS",
        0.0,
    )
    monkeypatch.setattr(
        dispatch,
        "WAIT_SECONDS",
        0.0,
    )


@pytest.fixture
def record(deployment: Deployment) -> IncidentRepository:
    return IncidentRepository(TABLE)


@pytest.fixture
def items_read(record: IncidentRepository, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets how many items each query has read."""
    query, read = record.table.client.query, []

    def counted(**request: object) -> dict[str, list[object]]:
        page: dict[str, list[object]] = query(**request)
        read.append(len(page["Items"]))
        return page

    monkeypatch.setattr(
        record.table.client,
        "query",
        counted,
    )
    return read


@pytest.fixture
def atomic(monkeypatch: pytest.MonkeyPatch) -> None:
    """One API call at a time: moto checks a condition and writes in two steps, DynamoDB does
    not.
    """
    lock, call = threading.Lock(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def call_alone(self: Any, operation: str, arguments: Any) -> Any:
        with lock:
            answer = call(
                self,
                operation,
                arguments,
            )
        time.sleep(0.003)  # so that the others come between any two calls
        return answer

    monkeypatch.setattr(
        BaseClient,
        "_make_api_call",
        call_alone,
    )


# Statuses of incidents that have changed a resource, or are about to.
_CONTAINED = (*WATCHED, Status.CONTAINING, Status.FAILED, Status.RESTORED, Status.RESTORE_PARTIAL)


@pytest.fixture
def incident(deployment: Deployment) -> Callable[..., str]:
    """Opens an incident, executed by function_calls.EXECUTION, that has come to containing its
    targets; returns its id.
    """

    def begin(*names: str, status: str = "CONTAINING", **fields: Any) -> str:
        incident_id = str(call("open", event=load_finding())["incident_id"])
        record = IncidentRepository(TABLE)
        targets = [
            cast(
                "TargetReference",
                {k: v for k, v in target(name).items() if k not in ("scope", "verify_only")},
            )
            for name in names or ["i-1"]
        ]
        for entry in targets if status in _CONTAINED else []:
            joined = record.containments.join(
                entry,
                incident_id,
                "ec2_instance",
            )
            entry |= {"generation": joined.generation, "opened_by": joined.opened_by}
        record.note(incident_id, decision="act", targets=targets, **fields)
        for entry in targets:
            record.put_target(incident_id, entry)
        if status != "OPEN":
            record.move(
                incident_id,
                Status.OPEN,
                Status(status),
            )
        return incident_id

    return begin


@pytest.fixture
def verified(record: IncidentRepository) -> Callable[..., None]:
    """Writes what the playbook function's step verify writes."""

    def write(incident_id: str, status: str, name: str = "i-1", execution: str = EXECUTION) -> None:
        checks = [
            {
                "name": "interface eni-1",
                "ok": status == "CONTAINED",
                "detail": "groups as read back",
                "fatal": False,
            }
        ]
        record.set_target(
            incident_id,
            "ec2_instance",
            name,
            status=status,
            verdict=f"{name} is {status}",
            checks=checks,
            verified=execution,
        )

    return write


@pytest.fixture
def fake(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePlaybook]:
    module = FakePlaybook()
    for name in ("", ".playbook", ".evidence", ".terminate"):
        monkeypatch.setitem(
            sys.modules,
            module.__name__ + name,
            module,
        )
    monkeypatch.setenv("GDR_PLAYBOOK", "fake")
    configure(deployment)
    yield module
    clients.POOL.submit(lambda: None).result()
