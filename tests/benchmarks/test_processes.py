"""Functions as processes, and a slow AWS: what the figures from finding to verdict are made of."""

from __future__ import annotations

import io
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lambda_process import Function, FunctionFailed
from benchmarks.measure import RUNTIME, environment, unpack
from benchmarks.slow_aws import SlowAws

HANDLER = """
import os, time
print("this goes to the log")
calls = 0

def handler(event, context):
    global calls
    calls += 1
    if event.get("fail"):
        print("what happened")
        raise ValueError(event["fail"])
    return {"process": os.getpid(), "calls": calls, "name": os.environ["NAME"]}
"""


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Function]:
    (tmp_path / "code.py").write_text(HANDLER)
    made = Function(
        tmp_path,
        "code.handler",
        {**environment(), "NAME": "a"},
    )
    yield made
    made.end()


def test_a_free_environment_is_used_again(function: Function) -> None:
    first, second = function.invoke({}), function.invoke({}, at=60.0)
    assert (first.cold, second.cold) == (True, False)
    assert first.answer == {**second.answer, "calls": 1}
    assert second.answer["calls"] == 2
    assert first.seconds > second.seconds, "a cold start counts the interpreter and the import"


def test_a_busy_environment_is_not(function: Function) -> None:
    """By the caller's clock, on which the first invocation has not ended yet."""
    first, beside = function.invoke({}, at=5.0), function.invoke({}, at=5.0)
    assert first.cold and beside.cold
    assert first.answer["process"] != beside.answer["process"]
    function.rest()
    assert function.invoke({}).answer["process"] == first.answer["process"]


def test_an_ended_function_is_cold(function: Function) -> None:
    function.invoke({})
    function.end()
    assert function.invoke({}, at=60.0).cold


def test_the_code_is_compiled_anew_each_time(function: Function) -> None:
    function.invoke({})
    assert [path.name for path in function.code.iterdir()] == ["code.py"]


def test_an_error_names_itself_and_the_log(function: Function) -> None:
    with pytest.raises(FunctionFailed, match=r"ValueError: no role\n(.*\n)*what happened"):
        function.invoke({"fail": "no role"})


def test_a_handler_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    function = Function(
        tmp_path,
        "gone.handler",
        environment(),
    )
    try:
        with pytest.raises(FunctionFailed, match="No module named 'gone'"):
            function.invoke({})
    finally:
        function.end()


# -- the slow AWS ----------------------------------------------------------------------------------


def _call(aws: SlowAws, **environ: Any) -> bytes:
    body = environ.pop("body", b"")
    request = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    return b"".join(aws({**request, **environ}, None))


def test_calls_wait_side_by_side_and_are_answered_in_turn() -> None:
    working, most = [], []
    turn = threading.Lock()

    def moto(environ: Any, _: Any) -> list[bytes]:
        assert turn.acquire(blocking=False), "moto works on one call at a time"
        working.append(1)
        most.append(len(working))
        time.sleep(0.01)
        working.clear()
        turn.release()
        return [environ["wsgi.input"].read()]

    aws = SlowAws(moto, latency=0.2)
    start = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda n: _call(aws, body=b"%d" % n), range(5)))
    took = time.monotonic() - start
    assert answers == [b"0", b"1", b"2", b"3", b"4"]
    assert set(most) == {1}
    assert 0.2 <= took < 0.9, "one after the other they would take a second"
    assert min(call.end - call.start for call in aws.calls) >= 0.2


@pytest.mark.parametrize(
    ("environ", "operation"),
    [
        ({"HTTP_X_AMZ_TARGET": "DynamoDB_20120810.PutItem"}, "PutItem"),
        (
            {
                "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
                "body": b"Action=AssumeRole&Version=2011-06-15",
            },
            "AssumeRole",
        ),
        ({"REQUEST_METHOD": "PUT", "PATH_INFO": "/bucket/key", "body": b"x"}, "PUT /bucket/key"),
    ],
)
def test_a_call_is_noted_by_its_operation(environ: dict[str, Any], operation: str) -> None:
    aws = SlowAws(lambda *_: [b""], latency=0)
    _call(aws, **environ)
    assert [call.operation for call in aws.calls] == [operation]


def test_what_a_zip_has_compiled_is_compiled_for_this_python(tmp_path: Path) -> None:
    """And nothing else: the other modules are compiled at each cold start, as in Lambda."""
    with zipfile.ZipFile(tmp_path / "function.zip", "w") as archive:
        archive.writestr("one/fast.py", "answer = 1")
        archive.writestr(f"one/__pycache__/fast.{RUNTIME}.pyc", b"")
        archive.writestr("slow.py", "answer = 2")
    unpack(tmp_path / "function.zip", tmp_path / "code")
    tag = sys.implementation.cache_tag
    made = {path.relative_to(tmp_path / "code") for path in tmp_path.rglob("*.pyc")}
    assert made == {Path(f"one/__pycache__/fast.{name}.pyc") for name in (RUNTIME, tag)}
    if tag != RUNTIME:
        code = (tmp_path / "code/one/__pycache__" / f"fast.{tag}.pyc").read_bytes()
        assert code[4] == 0b11, "compared with its source at import (PEP 552), as in the zip"
