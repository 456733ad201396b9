"""A restore or a closing that dies before it tells people: who asks again, or the next recheck,
tells them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from guardduty_response.incident import notifications, outcome

from tests.unit.deployment import EXECUTIONS
from tests.unit.function_calls import call, notified
from tests.unit.functions.shared_world import World, ask


class Died(Exception):
    """Stands for a function that is killed."""


@contextmanager
def dying(module: Any, name: str, before: int = 1) -> Iterator[None]:
    """Lets the function die before it calls ``name`` for that time."""
    real, calls = getattr(module, name), list[bool]()

    def call_or_die(*arguments: Any, **more: Any) -> Any:
        calls.append(True)
        if len(calls) == before:
            raise Died
        return real(*arguments, **more)

    with patch.object(module, name, call_or_die), pytest.raises(Died):
        yield


def test_a_closing_is_told_by_the_next(world: World) -> None:
    incident_id = world.contain("a")
    request = {"close": True, "keep_contained": True, "reason": "rebuilt"}
    with dying(notifications, "notify"):
        ask(incident_id, **request)
    assert (world.status(incident_id), world.deployment.messages()) == ("CLOSED", [])
    for _ in range(2):
        assert ask(incident_id, **request)["status"] == "CLOSED"
    assert notified(world.deployment) == (["CLOSED"], []), "once"


def test_a_restore_is_told_by_the_next(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    with dying(notifications, "notify"):
        ask(first)
    assert (world.status(first), world.status(second)) == ("RESTORED", "CONTAINED")
    for _ in range(2):
        assert ask(first)["status"] == "RESTORED"
    assert world.done.count(("restore", "i-1")) == 1
    assert world.status(second) == "RESTORED"
    assert notified(world.deployment) == (["RESTORED", "RESTORED"], []), "each once"


def test_the_other_incidents_are_told_by_the_next(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    with dying(notifications, "notify", before=2):
        ask(first)
    assert world.status(second) == "RESTORED"
    ask(first)
    messages = world.deployment.messages()
    assert [message["MessageAttributes"]["incident_id"]["Value"] for message in messages] == [
        first,
        second,
    ]


def test_what_was_contained_anew_since_is_not_called_restored(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    ask(first)
    notified(world.deployment)
    again = world.contain("c")
    ask(first)
    assert [world.status(id) for id in (first, second, again)] == [
        "RESTORED",
        "RESTORED",
        "CONTAINED",
    ]
    assert notified(world.deployment) == ([], [])


def test_a_recheck_tells_of_a_restore_that_did_not(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    with dying(outcome, "settle_linked"):
        ask(first)
    assert notified(world.deployment) == (["RESTORED"], [])
    execution = f"{EXECUTIONS}incident:watch"
    call("open", event={"watch": {"incident_id": second}}, execution=execution)
    [target] = world.deployment.targets(second)
    reference = {name: target[name] for name in ("kind", "id", "arn", "account_id", "region")}
    for _ in range(2):
        call(
            "verdict",
            incident_id=second,
            execution=execution,
            targets=[{**reference, "verify_only": True}],
        )
    assert world.status(second) == "RESTORED"
    assert notified(world.deployment) == (["RESTORED"], []), "once"
