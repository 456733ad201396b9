"""The gate before every change: writers that record their states before at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from guardduty_response.errors import GateClosed

from tests.unit.containment.gates import Lab
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION

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
        start.wait(5)
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
        start.wait(5)
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
    first = threading.Thread(target=gate.write_before, args=("first", 1), daemon=True)
    first.start()
    first.join(5)
    assert not first.is_alive(), "it waits for what nobody writes"
    others[0].join(5)
    assert lab.befores() == {"first": 1, "second": 2}
