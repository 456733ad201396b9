"""The gate before every change: writers that record their states before at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from guardduty_response.containment import gate as gates
from guardduty_response.errors import GateClosed
from guardduty_response.incident.statuses import Status

from tests.support.patience import PATIENCE
from tests.unit.containment.gates import Clock, Lab
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION, target

GROUPS = {"eni-1": ["sg-web"]}
ACCOUNT = "222222222222"


def test_writers_at_once_share_few_transactions(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    writers, sizes, gate = 24, list[int](), lab.gate()
    transact, start = lab.record.table.transact, threading.Barrier(24)

    def slow(writes: Any) -> Any:
        sizes.append(len(writes))
        time.sleep(0.05)
        return transact(writes)

    def write(number: int) -> None:
        start.wait(PATIENCE)
        gate.write_before(f"item-{number}", number)

    monkeypatch.setattr(lab.record.table, "transact", slow)
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    assert lab.befores() == {f"item-{number}": number for number in range(writers)}
    assert len(sizes) <= 6, "DynamoDB refuses transactions on the same item side by side"


def test_a_refused_batch_is_refused_to_each_of_its_writers(lab: Lab) -> None:
    lab.record.leases.release(ARN, EXECUTION)
    gate, start = lab.gate(), threading.Barrier(6)

    def write(number: int) -> str:
        start.wait(PATIENCE)
        with pytest.raises(GateClosed) as closed:
            gate.write_before(f"item-{number}", number)
        return str(closed.value)

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(write, range(6)))
    assert answers == {gate.refusal}
    assert lab.befores() == {}


def test_a_writer_that_is_interrupted_while_it_queues_is_written_all_the_same(lab: Lab) -> None:
    """Another one takes the queue in that moment. What it leaves out must not count as written."""

    class Interrupted(list[Any]):
        def append(self, entry: Any) -> None:
            if not others:
                others.append(threading.Thread(target=gate.write_before, args=("second", 2)))
                others[0].start()
                others[0].join(0.5)
            super().append(entry)

    others, gate = list[threading.Thread](), lab.gate()
    gate._waiting = Interrupted()
    first = threading.Thread(
        target=gate.write_before,
        args=("first", 1),
        daemon=True,
    )
    first.start()
    first.join(5)
    assert not first.is_alive(), "it waits for what nobody writes"
    others[0].join(5)
    assert lab.befores() == {"first": 1, "second": 2}


def test_the_first_state_before_goes_with_the_permission(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, gate = list[int](), lab.gate()
    transact = lab.record.table.transact

    def counted(writes: Any) -> Any:
        sizes.append(len(writes))
        return transact(writes)

    monkeypatch.setattr(lab.record.table, "transact", counted)
    monkeypatch.setattr(gates, "FIRST_WRITE_SECONDS", 2 * PATIENCE)
    gate.open(awaits_write=True)
    gate.write_before("network", GROUPS)
    gate.permit()
    assert lab.befores() == {"network": GROUPS}
    assert len(sizes) == 1, "one round trip beside AssumeRole"


def test_a_gate_that_no_write_is_announced_to_asks_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "FIRST_WRITE_SECONDS", 2 * PATIENCE)
    gate = lab.gate()
    gate.open()
    assert gate._opening is not None
    gate._opening.result(timeout=PATIENCE)
    assert gate._is_valid()


def test_an_announced_write_that_does_not_come_is_not_waited_for(lab: Lab) -> None:
    gate, began = lab.gate(), time.monotonic()
    gate.open(awaits_write=True)
    gate.permit()
    assert time.monotonic() - began < 5
    assert gate.refusal == ""


def test_writers_under_a_valid_permission_do_not_wait_for_each_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, meet = lab.gate(), threading.Barrier(4)
    gate.permit()
    write = lab.record.table.write

    def together(*values: Any, **request: Any) -> Any:
        meet.wait(PATIENCE)  # breaks where they come one after another
        return write(*values, **request)

    monkeypatch.setattr(lab.record.table, "write", together)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: gate.write_before(f"item-{number}", number), range(4)))
    assert lab.befores() == {f"item-{number}": number for number in range(4)}


def test_a_refusal_takes_back_what_was_written_beside_it_alone(lab: Lab, clock: Clock) -> None:
    """What an earlier permission let change keeps its state before."""
    gate = lab.gate()
    gate.write_before("network", GROUPS)
    clock.now += gates.VALID_SECONDS + 1
    lab.control("OPERATOR", paused=True)
    with pytest.raises(GateClosed, match="paused"):
        gate.write_before("network", {"eni-1": ["sg-quarantine"]})
    assert lab.befores() == {"network": GROUPS}


def test_a_refusal_keeps_what_was_recorded_under_a_valid_permission(lab: Lab, clock: Clock) -> None:
    """It was written by itself, and its change was made. A later step may be refused."""
    gate = lab.gate()
    gate.permit()
    gate.write_before("network", GROUPS)
    clock.now += gates.VALID_SECONDS + 1
    lab.control("OPERATOR", paused=True)
    for later in (gate, lab.gate()):
        with pytest.raises(GateClosed, match="paused"):
            later.write_before("network", {"eni-1": ["sg-quarantine"]})
    assert lab.record.containments.read(*lab.place).before == {"network": GROUPS}


def test_a_refusal_keeps_what_the_last_restore_left_contained(lab: Lab) -> None:
    """A new generation begins with it. Nobody could read it again."""
    containments = lab.record.containments
    lab.gate().write_before("profile", {"name": "web"})
    containments.set(
        *lab.place,
        status=Status.RESTORE_PARTIAL,
        still_contained=["profile"],
    )
    joined = containments.join(
        target(),
        lab.incident_id,
        "ec2_instance",
    )
    lab.control("OPERATOR", paused=True)
    with pytest.raises(GateClosed, match="paused"):
        lab.gate(generation=joined.generation).write_before("profile", {"name": "quarantine"})
    assert containments.read(ARN, joined.generation).before == {"profile": {"name": "web"}}


def test_a_refusal_ends_a_permission_that_would_still_be_valid(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More writers wait than a transaction takes, and somebody pauses between two of them."""
    gate = lab.gate()
    ask = gate._ask

    def then_pause(writes: Any) -> None:
        ask(writes)
        lab.control("OPERATOR", paused=True)

    monkeypatch.setattr(gate, "_ask", then_pause)
    monkeypatch.setattr(gates, "BEFORES_IN_TRANSACTION", 1)
    with ThreadPoolExecutor(2) as pool:
        with gate._lock:
            written = [
                pool.submit(
                    gate.write_before,
                    name,
                    1,
                )
                for name in ("first", "second")
            ]
            while len(gate._waiting) < 2:
                time.sleep(0.01)
        errors = [future.exception() for future in written]
    assert sorted(type(error).__name__ for error in errors) == ["GateClosed", "NoneType"]
    assert len(lab.befores()) == 1
    with pytest.raises(GateClosed, match="paused"):
        gate.permit()


def test_what_was_taken_back_is_recorded_anew(lab: Lab) -> None:
    lab.control("OPERATOR", paused=True)
    for gate in (lab.gate(), lab.gate()):
        with pytest.raises(GateClosed, match="paused"):
            gate.write_before("network", "before a person changed it")
    assert lab.record.containments.read(*lab.place).before == {}
    lab.no_control("OPERATOR")
    lab.gate().write_before("network", "after")
    assert lab.record.containments.read(*lab.place).before == {"network": "after"}


def test_a_pause_that_cannot_be_read_takes_the_state_before_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    with monkeypatch.context() as broken:
        broken.setattr(
            lab.record.table.client,
            "query",
            fail,
        )
        with pytest.raises(EndpointConnectionError):
            lab.gate().write_before("network", GROUPS)
    assert lab.befores() == {}


def test_what_could_not_be_taken_back_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    lab.control("OPERATOR", paused=True)
    monkeypatch.setattr(
        lab.record.table.client,
        "update_item",
        fail,
    )
    with pytest.raises(GateClosed, match="its state before stays recorded: network"):
        lab.gate().write_before("network", GROUPS)
