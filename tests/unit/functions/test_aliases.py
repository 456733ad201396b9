"""Who may invoke a function by an alias alone has it run the step of that name and no other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from guardduty_response.errors import ResponseError
from guardduty_response.functions import runtime

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:playbook"
HANDLER = runtime.dispatch(
    "playbook", {"contain": lambda _: {"ran": "contain"}, "expire": lambda _: {"ran": "expire"}}
)


def _run(step: str, qualifier: str) -> object:
    return HANDLER({"verb": step}, SimpleNamespace(invoked_function_arn=f"{ARN}{qualifier}"))


@pytest.mark.parametrize("step", ["contain", ""])
def test_an_alias_runs_its_own_step_alone(step: str) -> None:
    assert _run("expire", ":expire") == {"ran": "expire"}
    with pytest.raises(ResponseError, match=f"the alias expire .* runs no step '{step}'"):
        _run(step, ":expire")
    with pytest.raises(ResponseError, match="the alias live"):
        _run("contain", ":live")


@pytest.mark.parametrize("qualifier", ["", ":$LATEST", ":7"])
def test_without_an_alias_every_step_can_be_run(qualifier: str) -> None:
    assert _run("contain", qualifier) == {"ran": "contain"}
    assert _run("expire", qualifier) == {"ran": "expire"}
