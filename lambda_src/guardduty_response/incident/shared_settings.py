"""Takes turns at what many containments write: a role's policy or tags, a permission set's policy.

Such a setting is read, changed and written whole. Two steps that do this side by side would lose
what the first wrote, so each holds the setting's lease meanwhile. AWS shows a change late, so the
next holder reads until it sees what was written last.

Items (keys pk/sk): RESOURCE#arn#setting/LEASE, /WRITTEN (a hash of what was written last, and
when), /BEFORE (the setting before the first containment) and /ENTRY#containment's arn#generation:
who needs the setting, and as what. The restore of the last of them gives the setting back. /DUE:
when it is looked whether entries of a role's setting are over.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from guardduty_response.aws.dynamodb_types import Item, item
from guardduty_response.errors import ResponseError
from guardduty_response.incident.containments import ENDED, Containments
from guardduty_response.incident.leases import Leases
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import Table
from guardduty_response.incident.target_repository import Place

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentRecord
    from guardduty_response.incident.table import Write

HOLD_SECONDS = 180  # longer than any function may run: nobody else writes meanwhile
WAIT_SECONDS = 25.0  # for the holder before; then the step is repeated by its verification
PAUSE_SECONDS = 0.3
# IAM's and Identity Center's changes are seen everywhere within seconds, mostly.
SPREAD_SECONDS = 10.0
RETENTION_SECONDS = 86400  # of WRITTEN, after which DynamoDB may delete it
# The item that says when it is looked whether entries are over, in a shard of its own of the index
# ``due`` (monitoring/expiry.py).
DUE, DUE_SHARD = "DUE", "sessions"
MOST_FORGOTTEN = 90  # entries of ended containments at a time (DynamoDB: 100 writes)

_READING = ThreadPoolExecutor(max_workers=16, thread_name_prefix="shared")

T = TypeVar("T")
# What a setting is, in JSON: only who writes the setting knows its shape.
SettingValue = Any


class SettingBusy(ResponseError):
    """Another containment is writing the setting. Nothing was changed."""


class SharedSetting(NamedTuple):
    """Says which containments (ARN and generation) need a setting, and what each makes of it.

    ``known``: those that have entered, also if they have ended since. ``before``: the value before
    the first of those that need it. ``gone``: those whose resource no longer exists, and since when
    (ISO 8601): they are not among ``entries``.
    """

    entries: dict[Place, SettingValue]
    known: dict[Place, SettingValue]
    before: SettingValue
    gone: dict[Place, str]

    def others(self, place: Place) -> dict[Place, SettingValue]:
        """Returns the containments of other resources that need the setting."""
        return {entry: value for entry, value in self.entries.items() if entry[0] != place[0]}


class SharedSettings:
    """The shared settings of one deployment. Methods raise botocore ClientError."""

    def __init__(self, table: Table, leases: Leases, containments: Containments) -> None:
        self.table, self.leases, self.containments = table, leases, containments

    def read(self, arn: str, setting: str) -> SharedSetting:
        """Returns who needs the setting, read consistently."""
        items = self.table.query(
            KeyConditionExpression="pk = :pk",
            ConsistentRead=True,
            ExpressionAttributeValues=item({":pk": _partition(arn, setting)}),
        )
        known = {
            (str(stored["arn"]), int(stored["generation"])): stored["value"]
            for stored in items
            if stored["sk"].startswith("ENTRY#")
        }
        befores = [stored["value"] for stored in items if stored["sk"] == "BEFORE"]
        entries: dict[Place, SettingValue] = {}
        gone: dict[Place, str] = {}
        for place, state in self._states(sorted(known)).items():
            if state and state["status"] == Status.GONE:
                gone[place] = state["updated_at"]
            elif state:
                entries[place] = known[place]
        return SharedSetting(
            entries,
            known,
            befores[0] if befores else None,
            gone,
        )

    def _states(self, places: list[Place]) -> dict[Place, ContainmentRecord | None]:
        """Returns the state of each containment; None: it has ended, or is not the resource's
        present one. All are read at the same time: hundreds of instances may share a role.
        """
        present = {
            arn: _READING.submit(self.containments.generation, arn)
            for arn in dict.fromkeys(arn for arn, _ in places)
        }
        reading = {place: _READING.submit(self.containments.state, *place) for place in places}
        states: dict[Place, ContainmentRecord | None] = {}
        for place, future in reading.items():
            state, is_present = future.result(), present[place[0]].result() == place[1]
            ended = not (state and is_present) or Status(state["status"]) in ENDED
            states[place] = None if ended else state
        return states

    @contextmanager
    def hold(self, arn: str, setting: str, owner: str) -> Iterator[Held]:
        """Holds the setting until the block ends. Raises SettingBusy after WAIT_SECONDS.

        ``owner``: who holds it, the same when the step is repeated.
        """
        name = f"{arn}#{setting}"
        until = time.monotonic() + WAIT_SECONDS
        while lease := self.leases.acquire(
            name,
            owner,
            owner,
            HOLD_SECONDS,
        ):
            if time.monotonic() > until:
                raise SettingBusy(
                    f"{setting} of {arn} is being written by {lease['owner']}: nothing was changed"
                )
            time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1))  # noqa: S311  (spreads waiters)
        held = Held(self, arn, setting)
        try:
            yield held
        finally:
            self.leases.release(name, owner)


class Held:
    """A setting while nobody else of this deployment writes it."""

    def __init__(self, settings: SharedSettings, arn: str, setting: str) -> None:
        self.settings, self.arn, self.setting = settings, arn, setting

    @property
    def _key(self) -> str:
        return _partition(self.arn, self.setting)

    def latest(self, call: Callable[[], T]) -> T:
        """Returns what ``call`` reads, once it shows what was written last.

        SPREAD_SECONDS after that was written, another value is one that somebody else wrote.
        """
        written = self.settings.table.get(self._key, "WRITTEN")
        while True:
            found = call()
            if written is None or written["sha256"] == _digest(found):
                return found
            if time.time() - float(written["at"]) > SPREAD_SECONDS:
                return found
            time.sleep(PAUSE_SECONDS)

    def written(self, value: SettingValue) -> None:
        """Records the value that the setting has been given, for the next holder."""
        at = time.time()
        self.settings.table.put(
            {
                "pk": self._key,
                "sk": "WRITTEN",
                "sha256": _digest(value),
                "at": str(at),
                "expires_at": int(at) + RETENTION_SECONDS,
            }
        )

    def enter(self, place: Place, value: SettingValue, before: SettingValue) -> None:
        """Records that a containment gives the setting ``value``; ``before``: its value now.

        The value before the first containment stands until the last has ended.
        """
        shared = self.settings.read(self.arn, self.setting)
        if place in shared.entries:
            return
        writes: list[Write] = [self._put(place, value)]
        if not shared.entries:
            # What an ended containment made of it was not given back, or AWS still shows it.
            if before not in shared.known.values():
                first = {"pk": self._key, "sk": "BEFORE", "value": before}
                writes.append({"Put": {"Item": item(first)}})
            writes += self._forget(set(shared.known) - {place})
        self.settings.table.transact(writes)

    def change_entry(
        self, place: Place, value: SettingValue, ended: Iterable[Place] = (), look_at: str = ""
    ) -> None:
        """Records what a containment makes of the setting from now on, and forgets the entries of
        those that have ``ended``.

        ``look_at``: when it is looked whether entries are over (ISO 8601; empty: as it was).
        """
        writes = [self._put(place, value), *self._forget(set(ended) - {place})]
        if look_at:
            due = {"pk": self._key, "sk": DUE, "due_shard": DUE_SHARD, "due_at": look_at}
            due |= {"arn": self.arn, "setting": self.setting}
            writes.append({"Put": {"Item": item(due)}})
        self.settings.table.transact(writes)

    def forget(self, places: Iterable[Place]) -> None:
        """Forgets the entries of these containments, MOST_FORGOTTEN at a time."""
        if writes := self._forget(places):
            self.settings.table.transact(writes)

    def _put(self, place: Place, value: SettingValue) -> Write:
        entry: Item = {"pk": self._key, "sk": _entry(place), "at": now()}
        entry |= {"arn": place[0], "generation": place[1], "value": value}
        return {"Put": {"Item": item(entry)}}

    def _forget(self, places: Iterable[Place]) -> list[Write]:
        keys = [{"pk": self._key, "sk": _entry(old)} for old in sorted(places)[:MOST_FORGOTTEN]]
        return [{"Delete": {"Key": item(key)}} for key in keys]


def _partition(arn: str, setting: str) -> str:
    return f"RESOURCE#{arn}#{setting}"


def _entry(place: Place) -> str:
    return f"ENTRY#{place[0]}#{place[1]:04d}"


def _digest(value: SettingValue) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
