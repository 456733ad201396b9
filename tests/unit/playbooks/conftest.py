"""Asks about every session policy that the tests of the playbooks open a session with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.aws import clients

from tests.support.session_policies import excused, objections, unneeded


@pytest.fixture(autouse=True)
def session_policies(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Nothing speaks against the policy of any session that was opened, and what is excused for
    the sake of this test was needed.
    """
    found: list[str] = []
    needed: set[str] = set()
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
        needed.update(excused(role_arn, policy))
        opened(session, role_arn, name, region, policy, *more, **named)

    monkeypatch.setattr(clients.Session, "__init__", opening)
    yield
    assert not found, "\n".join(sorted(set(found)))
    stale = unneeded(request.node.nodeid, needed)
    assert not stale, (
        f"Nothing here needs these excuses (tests/support/session_policies.py): {stale}"
    )
