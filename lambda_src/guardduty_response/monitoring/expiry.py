"""Has denials taken out of roles once the sessions that they deny are over, for the watchdog.

The watchdog looks at the roles that are due (due_roles.py), which takes reads of the table alone.
Where something is over it invokes the playbook's function, which may write the role
(functions/expire_step.py). It does so too where only AWS can say whether something is over
(unwatched.py). What cannot be written is tried again, less and less often; people are told, and
told when it ends. What cannot be asked is asked again for as long as the denial stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import item, plain
from guardduty_response.aws.log import log
from guardduty_response.containment import expired_entries
from guardduty_response.incident import notifications
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.shared_settings import DUE, DUE_SHARD
from guardduty_response.monitoring.due import INDEX
from guardduty_response.monitoring.due_roles import settle, update
from guardduty_response.monitoring.unwatched import unwatched

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentRecord
    from guardduty_response.incident.repository import IncidentRepository
    from guardduty_response.incident.table import Table
    from guardduty_response.monitoring.due_roles import DueRole, Request

FUNCTIONS = "GDR_PLAYBOOK_FUNCTIONS"
MOST = 20  # roles that are looked at in one run, of every five minutes
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 900, 6 * 3600
TOLD_AFTER = 3  # attempts, or looks that found out nothing
ATTEMPTS = 12  # to write what is over: the last comes about two days after the first


def dispatch(record: IncidentRepository) -> list[str]:
    """Looks at the roles that are due. Returns those whose policies are to be written.

    One that cannot be looked at keeps no other from it; the first error is raised at the end.
    """
    if FUNCTIONS not in os.environ:  # no playbook is in use, and the index may not be asked
        return []
    handed_out: list[str] = []
    errors: list[Exception] = []
    for found in _due(record.table):
        try:
            if _look(record, found):
                handed_out.append(found["arn"])
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"[:500]
            log("expired denials not looked at", target=found["arn"], detail=detail)
            errors.append(error)
    if errors:
        raise errors[0]
    return handed_out


def _due(table: Table) -> list[DueRole]:
    """Returns what the index knows to be due, with what the index does not hold."""
    answer = table.client.query(
        TableName=table.name,
        IndexName=INDEX,
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues=item({":shard": DUE_SHARD, ":now": now()}),
        Limit=MOST,
    )
    keys = [plain(stored) for stored in answer["Items"]]
    found = [table.get(str(key["pk"]), DUE) for key in keys]
    return [cast("DueRole", each) for each in found if each and "due_at" in each]


def _look(record: IncidentRepository, found: DueRole) -> bool:
    """Looks whether an entry of a role's setting is over. Returns whether it is handed out."""
    shared = record.shared.read(found["arn"], found["setting"])
    _, kept, over = expired_entries.split(shared)
    functions: dict[str, str] = json.loads(os.environ.get(FUNCTIONS) or "{}")
    states = [state for place in over if (state := record.containments.state(*place))]
    if not over:
        states = [each for each in unwatched(record, shared) if each["playbook"] in functions]
    if not over and not states:
        next_at = expired_entries.next_look(shared, kept)
        settle(record.table, found["arn"], found["setting"], next_at, found["due_at"])
        return False
    counter: Literal["attempts", "unasked"] = "attempts" if over else "unasked"
    failed = int(found.get(counter) or 0)
    if over and (failed >= ATTEMPTS or not states):
        if states:
            _tell(record, states[0], found, True, ended=True)
        _end(record.table, found)
        return False
    if failed == TOLD_AFTER:
        _tell(record, states[0], found, bool(over))
    due_at = from_now(min(FIRST_RETRY_SECONDS * 2 ** min(failed, 10), LONGEST_RETRY_SECONDS))
    why = "the function did not answer"
    function = functions.get(states[0]["playbook"])
    if not function:
        why = f"playbook {states[0]['playbook']} is switched off"
    changes = {"due_at": due_at, counter: failed + 1, "why": why}
    if not _claim(record.table, found, changes) or not function:
        return False
    request: Request = {
        "verb": "expire",
        "incident_id": states[0]["opened_by"],
        "execution": f"expiry {found['arn']}",
        "role": found["arn"],
        "arn": states[0]["arn"],
        "generation": int(states[0]["generation"]),
        "due_at": due_at,
    }
    payload = json.dumps(request).encode()
    clients.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=payload)
    return True


def _claim(table: Table, found: DueRole, changes: Mapping[str, object]) -> bool:
    """Makes a role due again by itself, in case its function dies. Returns False where somebody
    else has looked at it meanwhile.
    """
    return update(table, found["pk"], changes, {"due_at": found["due_at"]})


def _end(table: Table, found: DueRole) -> None:
    """Looks at a role no more, until somebody denies sessions on it."""
    settle(table, found["arn"], found["setting"], "", found["due_at"])


def _tell(
    record: IncidentRepository,
    state: ContainmentRecord,
    found: DueRole,
    over: bool,
    ended: bool = False,
) -> None:
    """Tells people, once each, that denials stay on a role although no session needs them, or
    although nobody knows whether one does (not ``over``). ``ended``: it is not tried again.
    """
    meta, targets = record.meta_and_targets(state["opened_by"])
    again = "It is not tried again: take them out by hand" if ended else "It is tried again"
    role, why = found["arn"].rpartition("/")[2], found.get("why") or "not known"
    problem = "that are over by now, and what denies them could not be taken out"
    word = "ended" if ended else ""
    if not over:
        word = "not asked"
        problem = (
            f"while {state['id']} exists. Nobody watches it any more, and whether it does could not"
            " be found out"
        )
    note = (
        f"Sessions are denied on role {role} {problem} ({why}). It fills the role's quota of"
        f" policies, and harms nothing else. {again} (inline policy and tag of the role: runbook,"
        " 'Sessions')."
    )
    draft = notifications.Draft(
        "problem",
        reason_for("denial stays", found["arn"], word),
        note=note,
        entry=("denial not taken out", why),
        target=state["id"],
        actor="watch",
    )
    notifications.notify(record, meta, targets, draft)
