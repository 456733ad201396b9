"""Asks about every session policy that the tests of the playbooks open a session with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.aws import clients

from tests.support.session_policies import objections


@pytest.fixture(autouse=True)
def session_policies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing speaks against the policy of any session that was opened."""
    found: list[str] = []
    opened = clients.Session.__init__

    def opening(
        session: clients.Session,
        role_arn: str,
        name: str,
        region: str,
        policy: dict[str, Any],
        *more: Any,
        **named: Any,
    ) -> None:
        found.extend(f"{role_arn}: {why}" for why in objections(role_arn, policy))
        opened(session, role_arn, name, region, policy, *more, **named)

    monkeypatch.setattr(clients.Session, "__init__", opening)
    yield
    assert not found, "\n".join(sorted(set(found)))
