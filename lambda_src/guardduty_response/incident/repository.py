"""The incident record: status, ledger, before-state and lease in one DynamoDB table.

Items (keys pk/sk): INCIDENT#id/META, INCIDENT#id/TARGET#kind#id, INCIDENT#id/EVENT#time#hex,
RESOURCE#arn/LEASE, BREAKER#playbook/WINDOW#start. Every write that decides something is
conditional, so concurrent executions cannot both win.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import item, marshal, plain
from guardduty_response.aws.errors import error_code
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.incident.statuses import (
    HELD,
    IN_PROGRESS,
    ON_FINDING,
    WATCHED,
    Event,
    OnFinding,
    Status,
    next_status,
)

Json = dict[str, Any]


def now() -> str:
    """ISO 8601 in UTC with microseconds: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Opened:
    """What opening found: the outcome, the status before (None: a new incident) and the
    incident's META.
    """

    outcome: OnFinding
    previous: Status | None
    meta: Json


def target_key(kind: str, id: str) -> str:
    return f"TARGET#{kind}#{id}"


class IncidentRepository:
    """One deployment's incident table. Methods raise botocore ClientError for service errors."""

    def __init__(self, table: str, client: Any = None) -> None:
        self.table = table
        self.db = client or clients.client("dynamodb")

    # -- incidents ---------------------------------------------------------------------------------

    def open(self, meta: Json, only_new: bool = False) -> Opened:
        """Creates the incident, or says what this further emission of its finding does
        (statuses.ON_FINDING).

        ``meta`` needs incident_id, execution, mode, severity and config_sha256. The winner of a
        race gets START or VERIFY; everybody else ATTACH. ``only_new``: an existing incident is left
        as it is (ATTACH), unless it is this execution's own.
        """
        pk, at = f"INCIDENT#{meta['incident_id']}", now()
        fresh = {
            **meta,
            "pk": pk,
            "sk": "META",
            "status": Status.OPEN,
            "opened_at": at,
            "updated_at": at,
            "emissions": 1,
            "decision": None,
            "targets": [],
            "open": "1",
        }
        try:
            self.db.put_item(
                TableName=self.table,
                Item=item(fresh),
                ConditionExpression="attribute_not_exists(pk)",
            )
            return Opened(OnFinding.START, None, fresh)
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
        return self._reopen(pk, meta, only_new)

    def _reopen(self, pk: str, meta: Json, only_new: bool) -> Opened:
        old = self.meta(meta["incident_id"])
        status = Status(old["status"])
        outcome = ON_FINDING[status]
        if status is Status.OPEN and old["execution"] == meta["execution"]:
            # our own first try, repeated after a lost answer
            return Opened(OnFinding.START, old.get("previous"), old)
        if only_new:
            return Opened(OnFinding.ATTACH, status, old)
        acted = status is Status.CONTAINED or (status in HELD and bool(old["targets"]))
        if acted and meta["mode"] == "notify":
            # the notice machine can neither verify nor repeat what was done
            outcome = OnFinding.ATTACH
        same = all(
            old.get(name) == meta.get(name) for name in ("config_sha256", "mode", "severity")
        )
        if (
            outcome is OnFinding.START
            and same
            and status in (Status.NOTIFIED, Status.DRY_RUN, Status.SKIPPED)
        ):
            outcome = OnFinding.ATTACH  # the same answer again would only be noise
        changes: Json = {"updated_at": now()} if status not in IN_PROGRESS else {}
        if outcome is OnFinding.START:
            changes = {
                **meta,
                "status": Status.OPEN,
                "updated_at": now(),
                "decision": None,
                "targets": [],
                "open": "1",
                "previous": status,
                "held": status if acted else "",
                "told": "",
                "closed_once": False,
            }
        elif outcome is OnFinding.VERIFY:
            changes["execution"] = meta["execution"]
        if self._update(pk, "META", changes, add={"emissions": 1}, only_if={"status": status}):
            return Opened(outcome, status, {**old, **changes})
        return Opened(OnFinding.ATTACH, status, old)  # somebody else moved it first

    def meta(self, incident_id: str) -> Json:
        """The incident's META item. Raises ResponseError when there is no such incident."""
        got = self.db.get_item(
            TableName=self.table,
            Key=item({"pk": f"INCIDENT#{incident_id}", "sk": "META"}),
            ConsistentRead=True,
        )
        if not got.get("Item"):
            raise ResponseError(f"there is no incident {incident_id} in table {self.table}")
        return plain(got["Item"])

    def read(self, incident_id: str) -> tuple[Json, list[Json], list[Json]]:
        """(META, targets, timeline oldest first). Raises ResponseError when there is no such
        incident.
        """
        items: list[Json] = []
        request: Json = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk",
            "ConsistentRead": True,
            "ExpressionAttributeValues": item({":pk": f"INCIDENT#{incident_id}"}),
        }
        while True:
            page = self.db.query(**request)
            items += [plain(one) for one in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        metas = [one for one in items if one["sk"] == "META"]
        if not metas:
            raise ResponseError(f"there is no incident {incident_id} in table {self.table}")
        targets = [one for one in items if one["sk"].startswith("TARGET#")]
        return metas[0], targets, [one for one in items if one["sk"].startswith("EVENT#")]

    def transition(self, incident_id: str, event: Event, **fields: Any) -> Status:
        """Applies ``event`` by the status table. Raises IllegalTransition where the table has no
        such step.
        """
        for _ in range(5):
            status = Status(self.meta(incident_id)["status"])
            new = next_status(status, event)
            if self.move(incident_id, status, new, **fields):
                return new
        raise IllegalTransition(
            f"incident {incident_id} changed five times while '{event}' was applied; try again"
        )

    def move(self, incident_id: str, old: Status, new: Status, **fields: Any) -> bool:
        """Sets the status if it still is ``old``; keeps the sparse ``open`` index attribute in
        step.
        """
        changes = {**fields, "status": new, "updated_at": now()}
        index = "1" if new in IN_PROGRESS else "held" if new in WATCHED else ""
        drop = [] if index else ["open"]
        if index:
            changes["open"] = index
        return self._update(
            f"INCIDENT#{incident_id}", "META", changes, drop=drop, only_if={"status": old}
        )

    def note(self, incident_id: str, **fields: Any) -> None:
        """Sets plain fields of the incident (no status)."""
        self._update(f"INCIDENT#{incident_id}", "META", {**fields, "updated_at": now()})

    def event(
        self, incident_id: str, name: str, detail: str = "", target: str = "", actor: str = ""
    ) -> None:
        """Appends to the timeline."""
        at = now()
        entry = {
            "pk": f"INCIDENT#{incident_id}",
            "sk": f"EVENT#{at}#{secrets.token_hex(2)}",
            "at": at,
            "event": name,
            "detail": detail[:2000],
            "target": target,
            "actor": actor,
        }
        self.db.put_item(TableName=self.table, Item=item(entry))

    def stale(self, before: str) -> list[Json]:
        """Incidents in progress whose last change is older than ``before`` (ISO 8601), oldest
        first.
        """
        return self._indexed("1", " AND updated_at < :t", {":t": before})

    def held(self) -> list[Json]:
        """Incidents whose containment stands (statuses.WATCHED), longest unchanged first. The
        index may lag by a moment.
        """
        return self._indexed("held")

    def _indexed(self, value: str, more: str = "", values: Json | None = None) -> list[Json]:
        out: list[Json] = []
        request: Json = {
            "TableName": self.table,
            "IndexName": "open",
            "KeyConditionExpression": f"#o = :o{more}",
            "ExpressionAttributeNames": {"#o": "open"},
            "ExpressionAttributeValues": item({":o": value, **(values or {})}),
        }
        while True:
            page = self.db.query(**request)
            out += [plain(one) for one in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return out
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    # -- targets -----------------------------------------------------------------------------------

    def put_target(self, incident_id: str, target: Json, reset: bool = False) -> None:
        """Creates the target's ledger. An existing one (a retry, a re-emission) is kept, unless
        ``reset``: after a restore the resource's state before containment is to be recorded anew,
        but for the parts that restore left contained.
        """
        kept = self._still_contained(incident_id, target) if reset else {}
        fresh = {
            "pk": f"INCIDENT#{incident_id}",
            "sk": target_key(target["kind"], target["id"]),
            **target,
            "status": Status.OPEN,
            "actions": {},
            "before": kept,
            "still_contained": sorted(kept),
            "evidence": {},
            "checks": [],
        }
        try:
            only_new: Json = {} if reset else {"ConditionExpression": "attribute_not_exists(pk)"}
            self.db.put_item(TableName=self.table, Item=item(fresh), **only_new)
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            self.set_target(
                incident_id,
                target["kind"],
                target["id"],
                status=Status.OPEN,
                attach=target.get("attach", ""),
            )

    def _still_contained(self, incident_id: str, target: Json) -> Json:
        """How the parts were that the last restore left as containment has them; ``network/x``
        is one of network's interfaces.
        """
        try:
            old = self.target(incident_id, target["kind"], target["id"])
        except ResponseError:
            return {}
        known = {
            f"network/{id}": was
            for id, was in ((old["before"].get("network") or {}).get("interfaces") or {}).items()
        }
        known |= old["before"]
        return {part: known[part] for part in old.get("still_contained") or [] if part in known}

    def target(self, incident_id: str, kind: str, id: str) -> Json:
        got = self.db.get_item(
            TableName=self.table,
            Key=item({"pk": f"INCIDENT#{incident_id}", "sk": target_key(kind, id)}),
            ConsistentRead=True,
        )
        if not got.get("Item"):
            raise ResponseError(f"incident {incident_id} has no target {kind} {id}")
        return plain(got["Item"])

    def set_target(self, incident_id: str, kind: str, id: str, **fields: Any) -> None:
        self._update(f"INCIDENT#{incident_id}", target_key(kind, id), fields)

    def action(
        self,
        incident_id: str,
        kind: str,
        id: str,
        name: str,
        status: str,
        detail: str,
        request_id: str = "",
    ) -> None:
        """One line of the ledger: what was done to the resource, when, under which AWS request
        id.
        """
        entry = {"status": status, "detail": detail[:1000], "at": now(), "request_id": request_id}
        self._nested(incident_id, kind, id, "actions", name, entry)

    def before(self, incident_id: str, kind: str, id: str, part: str, state: Json) -> None:
        """Keeps how the resource was. The first writing stands: a retry must not overwrite it
        with the quarantined state.
        """
        self._nested(incident_id, kind, id, "before", part, state, once=True)

    def evidence(self, incident_id: str, kind: str, id: str, part: str, state: Json) -> None:
        self._nested(incident_id, kind, id, "evidence", part, state)

    def _nested(
        self,
        incident_id: str,
        kind: str,
        id: str,
        map_name: str,
        name: str,
        value: Json,
        once: bool = False,
    ) -> None:
        request: Json = {
            "TableName": self.table,
            "Key": item({"pk": f"INCIDENT#{incident_id}", "sk": target_key(kind, id)}),
            "UpdateExpression": "SET #m.#n = :v",
            "ExpressionAttributeNames": {"#m": map_name, "#n": name},
            "ExpressionAttributeValues": {":v": marshal(value)},
        }
        if once:
            request["ConditionExpression"] = "attribute_not_exists(#m.#n)"
        try:
            self.db.update_item(**request)
        except ClientError as error:
            if not (once and error_code(error) == "ConditionalCheckFailedException"):
                raise

    # -- lease and breaker -------------------------------------------------------------------------

    def lease(
        self, arn: str, owner: str, incident_id: str, seconds: int, instead_of: str = ""
    ) -> Json | None:
        """Takes or renews the right to work on ``arn``. None: held now; else the other holder's
        {owner, incident_id}.

        An expired holder is replaced; ``instead_of`` names a holder the caller has found dead.
        """
        at = int(time.time())
        lease = {
            "pk": f"RESOURCE#{arn}",
            "sk": "LEASE",
            "owner": owner,
            "incident_id": incident_id,
            "expires": at + seconds,
            "expires_at": at + 86400,
        }
        try:
            self.db.put_item(
                TableName=self.table,
                Item=item(lease),
                ConditionExpression=(
                    "attribute_not_exists(pk) OR #o = :me OR #o = :dead OR #e < :now"
                ),
                ExpressionAttributeNames={"#o": "owner", "#e": "expires"},
                ExpressionAttributeValues=item(
                    {":me": owner, ":dead": instead_of or owner, ":now": at}
                ),
            )
            return None
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
        got = self.db.get_item(
            TableName=self.table,
            Key=item({"pk": f"RESOURCE#{arn}", "sk": "LEASE"}),
            ConsistentRead=True,
        )
        holder = plain(got.get("Item", {}))
        return holder if holder else self.lease(arn, owner, incident_id, seconds)

    def claim(
        self, arn: str, owner: str, incident_id: str, seconds: int, gives_way: str = ""
    ) -> Json | None:
        """``lease``, taken also from a holder whose execution has ended, or that is
        ``gives_way``.
        """
        held = self.lease(arn, owner, incident_id, seconds)
        if held and (held["owner"] == gives_way or clients.execution_ended(held["owner"])):
            held = self.lease(arn, owner, incident_id, seconds, held["owner"])
        return held

    def release(self, arn: str, owner: str) -> None:
        try:
            self.db.delete_item(
                TableName=self.table,
                Key=item({"pk": f"RESOURCE#{arn}", "sk": "LEASE"}),
                ConditionExpression="#o = :me",
                ExpressionAttributeNames={"#o": "owner"},
                ExpressionAttributeValues=item({":me": owner}),
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def count_targets(self, playbook: str, arns: list[str], minutes: int) -> int:
        """Adds ``arns`` to the breaker's present window and returns how many distinct targets it
        holds (atomic).
        """
        start = int(time.time()) // (minutes * 60) * minutes * 60
        got = self.db.update_item(
            TableName=self.table,
            Key=item({"pk": f"BREAKER#{playbook}", "sk": f"WINDOW#{start}"}),
            UpdateExpression="ADD targets :t SET expires_at = :x",
            ExpressionAttributeValues={
                ":t": {"SS": sorted(set(arns))},
                ":x": {"N": str(start + minutes * 60 + 86400)},
            },
            ReturnValues="ALL_NEW",
        )
        return len(got["Attributes"]["targets"]["SS"])

    # -- plumbing ----------------------------------------------------------------------------------

    def _update(
        self,
        pk: str,
        sk: str,
        changes: Json,
        add: Json | None = None,
        drop: list[str] | None = None,
        only_if: Json | None = None,
    ) -> bool:
        """SET/ADD/REMOVE on an existing item; False when ``only_if`` (attribute equals value)
        did not hold.
        """
        names: dict[str, str] = {}
        values: Json = {}

        def ref(name: str) -> str:
            names[f"#{name}"] = name
            return f"#{name}"

        parts = []
        if changes:
            parts.append("SET " + ", ".join(f"{ref(name)} = :{name}" for name in changes))
            values |= {f":{name}": value for name, value in changes.items()}
        if add:
            parts.append("ADD " + ", ".join(f"{ref(name)} :add_{name}" for name in add))
            values |= {f":add_{name}": value for name, value in add.items()}
        if drop:
            parts.append("REMOVE " + ", ".join(ref(name) for name in drop))
        condition = ["attribute_exists(pk)"] + [
            f"{ref(name)} = :if_{name}" for name in only_if or {}
        ]
        values |= {f":if_{name}": value for name, value in (only_if or {}).items()}
        try:
            self.db.update_item(
                TableName=self.table,
                Key=item({"pk": pk, "sk": sk}),
                UpdateExpression=" ".join(parts),
                ConditionExpression=" AND ".join(condition),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=item(values),
            )
            return True
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException" and only_if:
                return False
            raise
