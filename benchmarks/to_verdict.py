"""How long from a finding to the last change of the instance's interfaces and to the verdict, with
80 ms for each AWS call, beside Cloud Custodian's single function on the same instance.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import custodian
from .cold import ZIP
from .lambda_process import Function, Invocation, Json
from .measure import Figure, environment, prepare_process, round_trips, unpack
from .slow_aws import Call, SlowAws, serving
from .victims import Victims, prepare
from .walk_in_time import WalkInTime

LATENCY = 0.08  # seconds a call
TABLE_LATENCY = 0.01  # as DynamoDB answers: "single-digit millisecond" (its documentation)
CHANGED_COLD, CHANGED_WARM, VERDICT_COLD, VERDICT_WARM = 2.0, 1.8, 4.6, 4.4  # seconds, at most
ROUND_TRIPS = 14
# The goal, 1.0, is not met (README.md says where the time goes): this shows what gets worse.
COLD_RATIO = 1.5
MOVED = "ModifyNetworkInterfaceAttribute"
# As the walker names the functions -> zip, handler
FUNCTIONS = {
    "incident": ("incident.zip", "guardduty_response.functions.incident.handler"),
    "playbook": (ZIP.name, "guardduty_response.functions.respond.handler"),
}
# What the machine does beside containment and after the verdict is not waited for: it is answered,
# not run.
_PHASE_ENDED = {"done": True, "wait_seconds": 0, "next": "close"}


@dataclass
class Incident:
    """What one finding came to: seconds since the finding.

    ``round_trips``: of the calls until the last change, the longest chain in which each began after
    another had ended. ``states``: those that were entered until the verdict.
    """

    last_change: float = 0.0
    verdict: float = 0.0
    round_trips: int = 0
    states: int = 0


@dataclass
class Response:
    """This module's functions, driven by its state machine."""

    aws: SlowAws
    victims: Victims
    functions: dict[str, Function]
    number: int = 0
    _calls: list[Call] = field(default_factory=list)

    def answer(self) -> Incident:
        """Answer a finding about an instance. Raises RuntimeError when it is not contained."""
        self.number += 1
        instance = self.victims.another()
        incident, self._calls = Incident(), []
        for function in self.functions.values():
            function.rest()

        def invoke(name: str, payload: Json) -> Any:
            if name.startswith("dynamodb:"):
                return self._claim(walk, payload)
            if incident.verdict or name not in self.functions:
                return {**_PHASE_ENDED, "status": ""}
            got = self.functions[name].invoke(payload, walk.now)
            self._note(got, walk.now)
            walk.now += got.seconds
            if payload["verb"] == "verdict":
                incident.verdict, incident.states = walk.now, len(walk.entered)
            return got.answer

        execution = self.victims.deployment.start(f"bench-{self.number}")
        walk = WalkInTime(invoke, execution)
        walk.run(self.victims.finding(instance))
        moved = [call for call in self._calls if call.operation == MOVED]
        self._assert_contained()
        incident.last_change = max(call.end for call in moved)
        incident.round_trips = round_trips(self._calls, incident.last_change)
        return incident

    def _claim(self, walk: WalkInTime, arguments: Json) -> Json:
        """Write the claim, which needs no function: one call."""
        from tests.unit.deployment import TABLE

        self.victims.deployment.dynamodb.put_item(**{**arguments, "TableName": TABLE})
        self._calls.append(Call("PutItem", walk.now, walk.now + self.aws.latency))
        walk.now += self.aws.latency
        return {}

    def _note(self, got: Invocation, now: float) -> None:
        """Keep the calls of an invocation, on the machine's clock."""
        self._calls += shifted(self.aws.calls, got, now)

    def _assert_contained(self) -> None:
        """Read the interfaces and the record by other clients. Raises RuntimeError."""
        self.victims.assert_closed()
        [status] = {
            found["status"]
            for found in self.victims.deployment.incidents()
            if found["execution"].endswith(f":bench-{self.number}")
        }
        if status != "CONTAINED":
            raise RuntimeError(f"The incident ended {status}, not CONTAINED.")


def shifted(calls: list[Call], got: Invocation, now: float) -> list[Call]:
    """Return the calls of an invocation as if it had begun at ``now``."""
    end = got.start + got.seconds
    return [
        Call(call.operation, call.start - got.start + now, call.end - got.start + now)
        for call in calls
        if got.start <= call.start <= end
    ]


@dataclass
class Custodian:
    """Cloud Custodian's function, driven by the event itself."""

    aws: SlowAws
    victims: Victims
    function: Function

    def answer(self) -> Incident:
        """Answer a finding about an instance. Raises RuntimeError when it is not isolated."""
        event = self.victims.finding(self.victims.another())
        self.function.rest()
        got = self.function.invoke(event)
        calls = shifted(self.aws.calls, got, 0.0)
        self.victims.assert_closed()
        last_change = max(call.end for call in calls if call.operation == MOVED)
        return Incident(last_change, round_trips=round_trips(calls, last_change))


@dataclass(frozen=True)
class Pair:
    """A finding while no function runs, and the next one, in the same environments."""

    cold: Incident
    warm: Incident


@contextmanager
def unpacked() -> Iterator[dict[str, Path]]:
    """Yield the folder of each function's unpacked zip."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = {}
        for name, (zipped, _) in FUNCTIONS.items():
            found[name] = Path(folder) / name
            unpack(ZIP.parent / zipped, found[name])
        yield found


@contextmanager
def _world(aws: SlowAws) -> Iterator[tuple[Victims, dict[str, str]]]:
    """Yield instances in an empty AWS, and the variables of its functions."""
    from tests.unit.deployment import deployed

    aws.calls.clear()
    with deployed() as deployment:
        variables = {
            **environment(),
            "AWS_DEFAULT_REGION": os.environ["AWS_DEFAULT_REGION"],
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            **{name: value for name, value in os.environ.items() if name.startswith("GDR_")},
        }
        yield Victims.make(deployment), variables


def respond(aws: SlowAws, folders: dict[str, Path]) -> Pair:
    """Let this module answer two findings, the first with cold functions."""
    with _world(aws) as (victims, variables), ExitStack() as stack:
        functions = {
            name: Function(folders[name], handler, variables)
            for name, (_, handler) in FUNCTIONS.items()
        }
        for function in functions.values():
            stack.callback(function.end)
        response = Response(aws, victims, functions)
        return Pair(response.answer(), response.answer())


def let_custodian_respond(aws: SlowAws) -> Pair:
    """Let Cloud Custodian's function answer two findings, the first cold."""
    with _world(aws) as (victims, variables), tempfile.TemporaryDirectory() as folder:
        region = variables["AWS_DEFAULT_REGION"]
        made = custodian.function(Path(folder), victims.group, region, variables)
        try:
            ours = Custodian(aws, victims, made)
            return Pair(ours.answer(), ours.answer())
        finally:
            made.end()


def to_verdict(runs: int, beside_custodian: bool) -> list[Figure]:
    """Measure both by turns, after a turn that does not count; medians.

    ``beside_custodian``: whether Cloud Custodian's environment is there and is to be measured.
    """
    prepare()
    prepare_process()
    ours: list[Pair] = []
    quick_table: list[Pair] = []
    custodians: list[Pair] = []
    with serving(LATENCY) as aws, unpacked() as folders:
        for turn in range(runs + 1 if runs > 1 else 1):
            aws.table_latency = LATENCY
            pair = respond(aws, folders)
            aws.table_latency = TABLE_LATENCY
            # A single run shows that it runs: the same once more would show nothing else.
            quick = respond(aws, folders) if runs > 1 else pair
            other = [let_custodian_respond(aws)] if beside_custodian else []
            if turn or runs == 1:
                ours.append(pair)
                quick_table.append(quick)
                custodians += other
    return [
        *figures(ours),
        *compared(ours, custodians),
        *with_quick_table(quick_table, custodians),
    ]


def median(pairs: list[Pair], pick: Callable[[Pair], float]) -> float:
    """Return the median of a figure of all pairs."""
    return statistics.median(pick(pair) for pair in pairs)


def median_change(pairs: list[Pair], kind: str) -> float:
    """Return the median time to the last change; ``kind``: cold or warm."""
    incidents: list[Incident] = [getattr(pair, kind) for pair in pairs]
    return statistics.median(incident.last_change for incident in incidents)


def figures(ours: list[Pair]) -> list[Figure]:
    """Return the figures of this module alone."""
    how = f"{int(LATENCY * 1000)} ms a call; median of {len(ours)}"
    states = max(pair.cold.states for pair in ours)
    round_trips = median(ours, lambda pair: pair.warm.round_trips)
    return [
        Figure(
            "finding to last change, cold functions",
            median_change(ours, "cold"),
            "s",
            CHANGED_COLD,
            f"until both interfaces have the quarantine group alone; {how}",
        ),
        Figure(
            "finding to last change, warm functions",
            median_change(ours, "warm"),
            "s",
            CHANGED_WARM,
            how,
        ),
        Figure(
            "finding to verdict, cold functions",
            median(ours, lambda pair: pair.cold.verdict),
            "s",
            VERDICT_COLD,
            f"verified, recorded, told; {states} states entered, whose transitions are not counted",
        ),
        Figure(
            "finding to verdict, warm functions",
            median(ours, lambda pair: pair.warm.verdict),
            "s",
            VERDICT_WARM,
            how,
        ),
        Figure(
            "round trips from finding to last change",
            round_trips,
            "",
            ROUND_TRIPS,
            f"warm; the longest chain of calls; median of {len(ours)}",
        ),
    ]


def compared(ours: list[Pair], custodians: list[Pair]) -> list[Figure]:
    """Return the figures beside Cloud Custodian; none where it was not measured."""
    if not custodians:
        return []
    found = []
    for kind, limit in (("cold", COLD_RATIO), ("warm", None)):
        mine, other = median_change(ours, kind), median_change(custodians, kind)
        trips = max(getattr(pair, kind).round_trips for pair in custodians)
        note = (
            f"{mine:.2f} s / {other:.2f} s ({trips} round trips; no record, no lease, no state"
            f" before, no verification); medians of {len(ours)} by turns"
        )
        found.append(
            Figure(
                f"finding to last change, {kind} / Cloud Custodian", mine / other, "×", limit, note
            )
        )
    return found


def with_quick_table(ours: list[Pair], custodians: list[Pair]) -> list[Figure]:
    """Return the figures with the table as quick as DynamoDB is; they have no limits."""
    how = f"{int(TABLE_LATENCY * 1000)} ms a call of DynamoDB, {int(LATENCY * 1000)} ms any other"
    found = []
    for kind in ("cold", "warm"):
        mine = median_change(ours, kind)
        note = how
        if custodians:
            note = f"{how}; {mine / median_change(custodians, kind):.2f} of Cloud Custodian's"
        name = f"the same with a quick table, {kind} functions"
        found.append(Figure(name, mine, "s", None, note))
    return found
