"""What labs share: sessions that they watch, what these may do, and the end of a restore."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from guardduty_response.aws import clients
from guardduty_response.containment.contract import RestoreResult
from guardduty_response.containment.gate import Gate
from guardduty_response.containment.session_policy import changes
from guardduty_response.incident.moments import now
from guardduty_response.incident.repository import IncidentRepository

_HOOKING = threading.Lock()


class Actor(Protocol):
    """Declares a lab that opens sessions of a function's member role: ``job`` says whose."""

    job: str


@contextmanager
def acting(lab: Actor, job: str) -> Iterator[None]:
    """Lets the lab open sessions of another function's role meanwhile."""
    before, lab.job = lab.job, job
    try:
        yield
    finally:
        lab.job = before


class WatchedSession(clients.Session):
    """A role session that shows each of its clients to ``hook``, once, before it is used."""

    def __init__(
        self,
        hook: Callable[[Any], None],
        role_arn: str,
        region: str,
        policy: dict[str, Any],
        gate: Gate | None = None,
    ) -> None:
        permit = gate.permit if gate and changes(policy) else None
        super().__init__(
            role_arn,
            "lab",
            region,
            policy,
            permit,
        )
        self._hook = hook

    def client(self, service: str, region: str = "") -> Any:
        """Returns a client that is watched."""
        client = super().client(service, region)
        with _HOOKING:  # branches share a session's clients
            watch_once(client, self._hook)
        return client


def watch_once(client: Any, hook: Callable[[Any], None]) -> None:
    """Shows a client to ``hook``, if that has not happened yet."""
    if not getattr(client, "_hooked", False):
        hook(client)
        client._hooked = True


def granted_resources(policy: dict[str, Any], action: str) -> list[str]:
    """Returns the ARN patterns for which a session policy allows an action."""
    granted: list[str] = []
    for statement in policy["Statement"]:
        if action in statement["Action"]:
            resource = statement["Resource"]
            granted += [resource] if isinstance(resource, str) else resource
    return granted


def store_restored(
    record: IncidentRepository, incident_id: str, kind: str, id: str, result: RestoreResult
) -> None:
    """Writes the result of a restore into the record, as the restore function does."""
    restored = {
        "at": now(),
        "done": result.done,
        "restored": result.restored,
        "not_restored": result.not_restored,
    }
    record.set_target(
        incident_id,
        kind,
        id,
        status=result.status,
        still_contained=result.still_contained,
        restored=restored,
    )
