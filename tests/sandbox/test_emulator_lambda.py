"""Updating a function ends none of its invocations; how its environments start and end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import SECURITY, archive

SOURCE = """import os, time
def handler(event, context):
    time.sleep(event["seconds"])
    return {"version": os.environ["VERSION"]}
"""


@pytest.mark.smoke
@pytest.mark.parametrize("update", ["configuration", "code"])
def test_an_invocation_that_runs_ends_as_it_began(
    aws: Aws, function: Callable[..., str], update: str
) -> None:
    client = aws.client("lambda", SECURITY)
    name = function(SOURCE, Environment={"Variables": {"VERSION": "1"}})

    def invoke(seconds: float) -> Any:
        payload = json.dumps({"seconds": seconds}).encode()
        return json.loads(client.invoke(FunctionName=name, Payload=payload)["Payload"].read())

    assert invoke(0) == {"version": "1"}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, 2)
        time.sleep(0.7)
        if update == "code":
            client.update_function_code(FunctionName=name, ZipFile=archive(SOURCE + "# new"))
        else:
            client.update_function_configuration(
                FunctionName=name, Environment={"Variables": {"VERSION": "2"}}
            )
        assert not running.done()
        assert running.result() == {"version": "1"}
    assert invoke(0) == {"version": "1" if update == "code" else "2"}


def _invoke(aws: Aws, name: str, event: object = None) -> Any:
    answer = aws.client("lambda", SECURITY).invoke(
        FunctionName=name, Payload=json.dumps(event).encode()
    )
    return json.loads(answer["Payload"].read())


SLOW_START = """import os, time
time.sleep(0.7)
def handler(event, context):
    return os.getpid()
"""


def test_a_burst_shares_the_environments_that_get_free(
    aws: Aws, function: Callable[..., str]
) -> None:
    name = function(SLOW_START)
    with ThreadPoolExecutor(8) as pool:
        processes = set(pool.map(lambda _: _invoke(aws, name), range(8)))
    assert 1 <= len(processes) <= 3, "eight invocations at once, in the time of some cold starts"


APART = """import builtins, os
def handler(event, context):
    found = [os.environ.get("MINE"), os.environ.get("LEFT"), getattr(builtins, "left", None)]
    os.environ["LEFT"] = builtins.left = "by another"
    return found
"""


def test_environments_of_two_functions_share_nothing(
    aws: Aws, function: Callable[..., str]
) -> None:
    names = [function(APART, Environment={"Variables": {"MINE": mine}}) for mine in ("1", "2")]
    assert [_invoke(aws, name) for name in names] == [["1", None, None], ["2", None, None]]


ENDS = """import os
def handler(event, context):
    if event == "end":
        os._exit(3)
    return os.getpid()
"""


def test_an_environment_that_ended_is_replaced(aws: Aws, function: Callable[..., str]) -> None:
    name = function(ENDS)
    first = _invoke(aws, name)
    assert _invoke(aws, name) == first
    assert "errorMessage" in _invoke(aws, name, "end")
    assert _invoke(aws, name) not in (first, None)


PARENT = """import os
def handler(event, context):
    return os.getppid()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="environments are forks on Linux alone")
def test_a_lost_parent_of_environments_is_replaced(aws: Aws, function: Callable[..., str]) -> None:
    lost = _invoke(aws, function(PARENT))
    os.kill(lost, signal.SIGKILL)
    name = function(PARENT)
    assert "has ended" in _invoke(aws, name)["errorMessage"]
    assert _invoke(aws, name) not in (lost, None)
