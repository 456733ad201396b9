"""Updating a function ends none of its invocations."""

from __future__ import annotations

import json
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
