"""Keeps when it is looked whether denials of sessions on a role are over.

A role on which sessions are denied has an item RESOURCE#role#AWSRevokeOlderSessions/DUE, which is
written with the entries of the role's setting (incident/shared_settings.py). It is in the index
``due``, in a shard of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.shared_settings import DUE
from guardduty_response.incident.table import condition_failed

if TYPE_CHECKING:
    from guardduty_response.incident.table import Table

PAUSED_SECONDS = 3600  # until it is tried again while the response is paused


class DueRole(TypedDict, total=False):
    """Declares the DUE item of a role's setting. ``attempts`` to take out what is over have failed,
    and so many times in a row AWS did not say whether something is over (``unasked``), the last
    time because of ``why``.
    """

    pk: str
    sk: str
    due_shard: str
    due_at: str
    arn: str  # of the role
    setting: str
    attempts: int
    unasked: int
    why: str


class Request(TypedDict):
    """Declares the event of the playbook's function. ``arn``, ``generation``: a containment whose
    entry is over. ``due_at``: of the item, which is settled only if it has that still.
    """

    verb: str
    incident_id: str
    execution: str
    role: str
    arn: str
    generation: int
    due_at: str


def settle(table: Table, role: str, setting: str, due_at: str, was: str, unknown: str = "") -> None:
    """Says when a role is looked at next; empty: not again. Does nothing where it is not due at
    ``was`` any more: somebody has denied sessions meanwhile. ``unknown``: why AWS did not say
    whether something is over; how often it has not stays counted.
    """
    pk = f"RESOURCE#{role}#{setting}"
    only_if: dict[str, object] = {"due_at": was}
    if due_at:
        changes: dict[str, object] = {"due_at": due_at, "attempts": 0}
        if unknown:
            update(table, pk, {**changes, "why": unknown[:500]}, only_if)
        else:
            update(table, pk, changes, only_if, ["unasked", "why"])
    else:
        remove = ["due_at", "due_shard", "attempts", "unasked", "why"]
        update(table, pk, {"ended_at": now()}, only_if, remove)


def note_failure(table: Table, request: Request, setting: str, why: str, paused: bool) -> None:
    """Keeps why the policies of a role could not be written. A pause counts as no attempt."""
    pk = f"RESOURCE#{request['role']}#{setting}"
    changes: dict[str, object] = {"why": why[:500]}
    if paused:
        changes |= {"due_at": from_now(PAUSED_SECONDS), "attempts": 0}
    update(table, pk, changes, {"due_at": request["due_at"]})


def update(
    table: Table,
    pk: str,
    changes: Mapping[str, object],
    only_if: Mapping[str, object],
    remove: list[str] | None = None,
) -> bool:
    """Changes the item of a role. Returns False where it is not as ``only_if`` says."""
    request = table.update_request({"pk": pk, "sk": DUE}, changes, remove=remove, only_if=only_if)
    try:
        table.write(table.client.update_item, TableName=table.name, **request)
    except ClientError as error:
        if condition_failed(error):
            return False
        raise
    return True
