"""moto's IAM counts policies as AWS's does, until the test has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from moto.iam.exceptions import LimitExceededException
from moto.iam.models import IAMBackend

from sandbox.emulator.policy_sizes import INLINE, too_long, too_many


def enforce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits inline and attached policies of users, groups and roles."""
    for kind in INLINE:
        monkeypatch.setattr(IAMBackend, f"put_{kind}_policy", _limited_in_size(kind))
        monkeypatch.setattr(IAMBackend, f"attach_{kind}_policy", _limited_in_number(kind))


def _limited_in_size(kind: str) -> Callable[[IAMBackend, str, str, str], None]:
    put = getattr(IAMBackend, f"put_{kind}_policy")

    def limited(backend: IAMBackend, name: str, policy_name: str, policy_json: str) -> None:
        entity: Any = getattr(backend, f"get_{kind}")(name)
        if message := too_long(kind, name, entity.policies, {policy_name: policy_json}):
            raise LimitExceededException(message)
        put(backend, name, policy_name, policy_json)

    return limited


def _limited_in_number(kind: str) -> Callable[[IAMBackend, str, str], None]:
    attach = getattr(IAMBackend, f"attach_{kind}_policy")

    def limited(backend: IAMBackend, policy_arn: str, name: str | None = None, **by: str) -> None:
        name = name or by[f"{kind}_name"]
        attached = getattr(backend, f"get_{kind}")(name).managed_policies
        if message := too_many(kind, attached, policy_arn):
            raise LimitExceededException(message)
        attach(backend, policy_arn, name)

    return limited
