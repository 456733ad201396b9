"""Stores containments: for each resource what was changed, its state before, and who asked for it.

A containment belongs to a resource (its ARN) and a generation. A generation ends with a restore, or
when the ARN names another resource (its immutable ID differs). Incidents link to containments, so
two findings about a resource share the prior state, the action log and the evidence
(docs/decisions/0029).

Items (keys pk/sk), each small by itself: CONTAINMENT#arn/HEAD names the present generation;
CONTAINMENT#arn/0001#STATE, 0001#BEFORE#item, 0001#ACTION#name, 0001#CHECK#name, 0001#EVIDENCE#item,
0001#WATCHED and 0001#LINK#incident belong to a generation. Its losses are apart (losses.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.dynamodb_types import Item, Values, item
from guardduty_response.errors import ResponseError
from guardduty_response.incident.containment import Containment, bounded, parse, wrapped
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import Table, condition_failed
from guardduty_response.incident.transactions import (
    BEFORES_IN_TRANSACTION,
    batches,
    checks_by_key,
)

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        ActionLogEntry,
        BeforeStates,
        CheckRecord,
        ContainmentRecord,
        TargetReference,
    )
    from guardduty_response.incident.table import Request, Write

# A generation that is over: containing the resource again opens the next.
ENDED = frozenset({Status.RESTORED, Status.RESTORE_PARTIAL})
# A condition on a STATE item that it is not over; ``#status`` is its attribute ``status``.
ENDED_VALUES = {f":ended{number}": status for number, status in enumerate(sorted(ENDED))}
NOT_ENDED = f"NOT #status IN ({', '.join(ENDED_VALUES)})"
ATTEMPTS = 5  # of joining, while others join or restore the same resource


class Joined(NamedTuple):
    """Says which generation an incident has joined.

    ``new``: it was opened by this call. ``opened_by``: the incident that opened it, under whose
    name evidence is stored.
    """

    generation: int
    new: bool
    status: Status
    opened_by: str


class Present(NamedTuple):
    """Holds the present generation of a resource (0: it was never contained) and its STATE."""

    generation: int
    state: ContainmentRecord | None


def partition(arn: str) -> str:
    """Returns the partition key of a resource's items."""
    return f"CONTAINMENT#{arn}"


def sort_key(generation: int, kind: str, name: str = "") -> str:
    """Returns the sort key of an item of a generation. A name too long for a key is hashed."""
    if len(name.encode()) > 800:  # DynamoDB: 1,024 bytes a sort key
        name = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    return f"{generation:04d}#{kind}#{name}" if name else f"{generation:04d}#{kind}"


class Containments:
    """One deployment's containments. Methods raise botocore ClientError for service errors."""

    def __init__(self, table: Table) -> None:
        self.table = table

    # -- generations -------------------------------------------------------------------------------

    def generation(self, arn: str) -> int:
        """Returns the present generation of a resource; 0: it was never contained."""
        head = self.table.get(partition(arn), "HEAD")
        return int(head["generation"]) if head else 0

    def state(self, arn: str, generation: int) -> ContainmentRecord | None:
        """Returns the STATE item of a generation, or None."""
        found = self.table.get(partition(arn), sort_key(generation, "STATE"))
        return cast("ContainmentRecord", found) if found else None

    def present(self, arn: str) -> Present:
        """Returns the present generation of a resource and its STATE item."""
        generation = self.generation(arn)
        return Present(generation, self.state(arn, generation) if generation else None)

    def join(
        self,
        target: TargetReference,
        incident_id: str,
        playbook: str,
        immutable_id: str = "",
        known: Present | None = None,
    ) -> Joined:
        """Links the incident to the resource's containment, or opens a generation for it.

        ``immutable_id``: the ID that AWS never gives twice (AIDA…, AROA…, i-…); empty when it
        could not be read: then the present generation is taken to be of the same resource.
        ``known``: what ``present`` returned a moment ago, for who has asked already.
        """
        arn = str(target["arn"])
        for _ in range(ATTEMPTS):
            now_present, known = known or self.present(arn), None
            present, state = now_present.generation, now_present.state
            if state and not is_over(state, immutable_id):
                self._link(arn, present, incident_id, target)
                if immutable_id and not state.get("immutable_id"):
                    self.set(arn, present, immutable_id=immutable_id)
                opened_by = state.get("opened_by") or incident_id
                return Joined(present, False, Status(state["status"]), opened_by)
            kept = self._still_contained(state, immutable_id) if state else {}
            if self._open(
                target,
                present,
                incident_id,
                playbook,
                immutable_id,
                kept,
            ):
                return Joined(present + 1, True, Status.OPEN, incident_id)
        raise ResponseError(
            f"the containment of {arn} changed {ATTEMPTS} times while incident {incident_id} joined"
            " it; the step is tried again"
        )

    def _open(
        self,
        target: TargetReference,
        present: int,
        incident_id: str,
        playbook: str,
        immutable_id: str,
        kept: BeforeStates,
    ) -> bool:
        """Opens the generation after ``present``; returns False when somebody else did."""
        arn, generation = str(target["arn"]), present + 1
        head_condition = "attribute_not_exists(pk)"
        head: Request = {"Item": item(self._key(arn, "HEAD") | {"generation": generation})}
        if present:
            head_condition = "generation = :present"
            head["ExpressionAttributeValues"] = item({":present": present})
        state = {
            "arn": arn,
            "kind": target["kind"],
            "id": target["id"],
            "account_id": target["account_id"],
            "region": target["region"],
            "playbook": playbook,
            "generation": generation,
            "immutable_id": immutable_id,
            "opened_by": incident_id,
            "status": Status.OPEN,
            "still_contained": sorted(kept),
            "opened_at": now(),
            "updated_at": now(),
        }
        writes = [
            {"Put": {**head, "ConditionExpression": head_condition}},
            self._put(arn, generation, "STATE", "", state),
            self._put(arn, generation, "LINK", incident_id, _new_link(incident_id, target)),
        ]
        befores = [
            self._put(arn, generation, "BEFORE", name, wrapped(arn, value))
            for name, value in kept.items()
        ]
        while len(befores) > BEFORES_IN_TRANSACTION:  # first, so that none can be lost
            present_head: Request = {
                "Key": item(self._key(arn, "HEAD")),
                "ConditionExpression": head_condition,
                "ExpressionAttributeValues": item({":present": present}),
            }
            batch, befores = befores[:BEFORES_IN_TRANSACTION], befores[BEFORES_IN_TRANSACTION:]
            if self.table.transact([{"ConditionCheck": present_head}, *batch]):
                return False
        return not self.table.transact([*writes, *befores])

    def _still_contained(self, state: ContainmentRecord, immutable_id: str) -> BeforeStates:
        """Returns the prior state of the items that the last restore left contained.

        ``network/x`` is one of network's interfaces, ``item/x`` a value that came later. Another
        resource under the same ARN has none.
        """
        if not _same_resource(state, immutable_id):
            return {}
        names = state.get("still_contained") or []
        if not names:
            return {}
        before = self.read(state["arn"], state["generation"]).before
        interfaces = (before.get("network") or {}).get("interfaces") or {}
        known = {f"network/{id}": value for id, value in interfaces.items()} | before
        return {
            name: value
            for name, value in known.items()
            if name in names or name.split("/")[0] in names
        }

    # -- reading -----------------------------------------------------------------------------------

    def read(self, arn: str, generation: int) -> Containment:
        """Returns everything that is stored of a generation.

        Raises ResponseError when there is no such generation, or a value in S3 is not the one that
        was stored.
        """
        items = self.table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :generation)",
            ConsistentRead=True,
            ExpressionAttributeValues=item(
                {":pk": partition(arn), ":generation": f"{generation:04d}#"}
            ),
        )
        return parse(arn, generation, items)

    # -- writing -----------------------------------------------------------------------------------

    def set(
        self,
        arn: str,
        generation: int,
        unless_restored: bool = False,
        more: Sequence[Write] = (),
        /,
        **fields: object,
    ) -> bool:
        """Sets fields of a containment. ``checks`` and ``watched`` have items of their own.

        All are written together, and with ``more``: writes of other items of the generation.
        ``unless_restored``: returns False when the containment is over.
        """
        checks = cast("list[CheckRecord] | None", fields.pop("checks", None))
        watched = fields.pop("watched", None)
        fields, at = bounded(arn, fields), now()
        if checks is not None:
            fields["checks_at"] = at
        fields["updated_at"] = at
        writes = []
        for name, check in checks_by_key(checks or []).items():
            writes.append(self._put(arn, generation, "CHECK", name, {**check, "of": at}))
        if watched is not None:
            writes.append(self._put(arn, generation, "WATCHED", "", {"watched": watched}))
        key = self._key(arn, sort_key(generation, "STATE"))
        transactions = batches(list(more), writes)
        if not transactions and not unless_restored:
            return self.table.update(key["pk"], key["sk"], fields)
        update = self.table.update_request(key, fields)
        if unless_restored:
            update["ConditionExpression"] += f" AND {NOT_ENDED}"
            update["ExpressionAttributeNames"]["#status"] = "status"
            update["ExpressionAttributeValues"] |= item(ENDED_VALUES)
        *earlier, last = transactions or [[]]
        guard = [self._not_ended(key)] if unless_restored else []
        refused = any(self.table.transact([*guard, *batch]) for batch in earlier)
        if not refused and not self.table.transact([*last, {"Update": update}]):
            return True
        if unless_restored:
            return False
        raise ResponseError(f"there is no containment of {arn} of generation {generation}")

    def _not_ended(self, key: Item) -> Write:
        """Returns the condition of a transaction that a containment is not over."""
        return {
            "ConditionCheck": {
                "Key": item(key),
                "ConditionExpression": NOT_ENDED,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": item(ENDED_VALUES),
            }
        }

    def put_action(self, arn: str, generation: int, name: str, entry: ActionLogEntry) -> None:
        """Writes an entry of the action log; a later entry of the same action replaces it."""
        self.table.put(self._values(arn, generation, "ACTION", name, {"name": name, **entry}))

    def action_write(self, arn: str, generation: int, name: str, entry: ActionLogEntry) -> Write:
        """Returns the write of ``put_action``, for a transaction."""
        return self._put(arn, generation, "ACTION", name, {"name": name, **entry})

    def put_before(self, arn: str, generation: int, name: str, value: object) -> None:
        """Records an item's state before containment. The first writing stands."""
        self.table.put_if(
            self._values(arn, generation, "BEFORE", name, wrapped(arn, value) | {"name": name}),
            "attribute_not_exists(#value)",
            {"#value": "value"},
        )

    def before_write(
        self, arn: str, generation: int, name: str, value: object, writer: str = ""
    ) -> Write:
        """Returns the write of an item's state before containment, for a transaction.

        The first writing stands, and a second one does not fail the transaction. ``writer``: by
        which ``take_back_before`` knows it again. It is a part of the value, so that it never marks
        a value that another has written.
        """
        value = wrapped(arn, value)["value"] | {"writer": writer}
        return {
            "Update": {
                "Key": item(self._key(arn, sort_key(generation, "BEFORE", name))),
                "UpdateExpression": "SET #value = if_not_exists(#value, :value), #name = :name",
                "ExpressionAttributeNames": {"#value": "value", "#name": "name"},
                "ExpressionAttributeValues": item({":value": value, ":name": name}),
            }
        }

    def take_back_before(self, arn: str, generation: int, name: str, writer: str) -> None:
        """Takes back a prior state if ``writer`` was first to write it: nothing was changed."""
        try:
            self.table.write(
                self.table.client.update_item,
                TableName=self.table.name,
                Key=item(self._key(arn, sort_key(generation, "BEFORE", name))),
                UpdateExpression="REMOVE #value",
                ConditionExpression="#value.#writer = :writer",
                ExpressionAttributeNames={"#value": "value", "#writer": "writer"},
                ExpressionAttributeValues=item({":writer": writer}),
            )
        except ClientError as error:
            if not condition_failed(error):
                raise

    def put_evidence(self, arn: str, generation: int, name: str, entry: Values) -> None:
        """Records how far an evidence item is."""
        values = wrapped(arn, dict(entry)) | {"name": name}
        self.table.put(self._values(arn, generation, "EVIDENCE", name, values))

    def evidence_write(self, arn: str, generation: int, name: str, entry: Values) -> Write:
        """Returns the write of ``put_evidence``, for a transaction."""
        values = wrapped(arn, dict(entry)) | {"name": name}
        return self._put(arn, generation, "EVIDENCE", name, values)

    def _link(self, arn: str, generation: int, incident_id: str, target: TargetReference) -> None:
        """Links an incident; one that was closed and comes again is linked anew."""
        link = _new_link(incident_id, target)
        self.table.put(self._values(arn, generation, "LINK", incident_id, link))

    def release_link(self, arn: str, generation: int, incident_id: str, why: str) -> None:
        """Ends an incident's interest in a containment."""
        key = self._key(arn, sort_key(generation, "LINK", incident_id))
        self.table.update(key["pk"], key["sk"], {"released_at": now(), "reason": why})

    def _key(self, arn: str, sk: str) -> Item:
        return {"pk": partition(arn), "sk": sk}

    def _values(self, arn: str, generation: int, kind: str, name: str, values: Values) -> Item:
        return {**self._key(arn, sort_key(generation, kind, name)), **values}

    def _put(self, arn: str, generation: int, kind: str, name: str, values: Values) -> Write:
        stored = self._values(arn, generation, kind, name, values)
        if kind == "BEFORE":
            stored["name"] = name
        return {"Put": {"Item": item(stored)}}


def _new_link(incident_id: str, target: TargetReference) -> Item:
    key = target.get("finding_key") or ""
    return {"incident_id": incident_id, "at": now()} | ({"finding_key": key} if key else {})


def _same_resource(state: ContainmentRecord, immutable_id: str) -> bool:
    known = state.get("immutable_id")
    return not known or not immutable_id or known == immutable_id


def is_over(state: ContainmentRecord, immutable_id: str) -> bool:
    """Tells whether a containment was restored, or is another resource's of the same ARN."""
    return Status(state["status"]) in ENDED or not _same_resource(state, immutable_id)
