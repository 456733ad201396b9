"""AWS STS refuses session policies that the estimate takes: roles are read in smaller sessions."""

from __future__ import annotations

import json

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.test_chained_sessions import alice
from tests.unit.playbooks.packed_sts import PackedSts, permissions

ROLES = ("admin", "batch", "deploy")


@pytest.mark.parametrize(
    ("reads", "refused"),
    [
        pytest.param(
            3,
            0,
            id="nothing refused",
        ),
        pytest.param(
            2,
            1,
            id="two roles together",
        ),
        pytest.param(
            1,
            2,
            id="every role alone",
        ),
    ],
)
@pytest.mark.usefixtures("untrimmed_models")  # of the restore function
def test_sessions_in_many_roles_are_denied_and_verified(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch, reads: int, refused: int
) -> None:
    iam.user()
    for name in ROLES:
        iam.role(name, session=None)
        iam.add_assume_role(
            alice(iam),
            name,
            f"alice-{name}",
            f"ASIA{name}",
        )
    sts = PackedSts(monkeypatch, None)

    def too_many(**request: object) -> object:
        """The verification's policy names roles only."""
        named = sum(f":role/{name}" in str(request["Policy"]) for name in ROLES)
        sts.most = 0 if named > reads else None
        return sts.answer(**request)

    sts.answer_with(too_many)
    assert iam.respond().status is Status.CONTAINED
    assert all(iam.checks[f"held_sessions {name}"].ok for name in ROLES)
    assert all(iam.role_policies(name) for name in ROLES)
    assert len({json.dumps(policy) for policy in sts.refused}) == refused
    assert permissions(sts.refused) <= permissions(sts.taken)
    for policy in sts.taken:
        assert sum(f":role/{name}" in json.dumps(policy) for name in ROLES) <= reads
    iam.restore()
    assert not any(iam.role_policies(name) for name in ROLES)
