"""AWS STS refuses session policies that the estimate takes: the work goes on in smaller ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.errors import SessionPolicyTooLarge
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from guardduty_response.playbooks.ec2_instance.evidence import copies, snapshots

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, Lab
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab
from tests.unit.playbooks.ec2_instance.test_copies import configure_vault, own, sources
from tests.unit.playbooks.packed_sts import PackedSts, permissions

Json = dict[str, Any]


def closed(lab: Lab) -> bool:
    return set(map(tuple, lab.groups().values())) == {(f"{PREFIX}-quarantine",)}


@pytest.mark.parametrize(
    ("interfaces", "most", "refused"),
    [
        pytest.param(
            4,
            None,
            0,
            id="nothing refused",
        ),
        pytest.param(
            4,
            1195,
            1,
            id="two interfaces together, not four",
        ),
        pytest.param(
            4,
            1165,
            2,
            id="two interfaces together, and every other ARN alone",
        ),
    ],
)
def test_what_sts_cannot_pack_is_contained_in_smaller_sessions(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, interfaces: int, most: int | None, refused: int
) -> None:
    lab.build(interfaces=interfaces)
    sts = PackedSts(monkeypatch, most)
    target = lab.plan()
    before = list(lab.groups())
    assert lab.respond(target).status is Status.CONTAINED
    assert len(before) == interfaces and closed(lab)
    assert "FAILED" not in lab.actions().values()
    assert len(sts.refused) == refused, [len(json.dumps(p)) for p in sts.refused]
    # Every policy was asked about once, and no session may do what none might before
    assert len({json.dumps(policy) for policy in sts.refused}) == refused
    wide = permissions(sts.refused)
    assert wide <= permissions(sts.taken)
    every = {f"network-interface/{id}" for id in before}
    for policy in sts.taken:
        narrow = permissions([policy])
        named = {resource.rpartition(":")[2] for _, resource, _ in narrow} & every
        if named and refused:
            assert named < every
            assert any(narrow <= permissions([larger]) for larger in sts.refused)


def test_where_nothing_is_refused_there_is_no_call_more(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session for planning, one for the network, one for the rest, one that tags the role whose
    sessions are denied, one for looking for sessions of other roles, one for the verification.
    """
    lab.build(interfaces=4)
    sts = PackedSts(monkeypatch, None)
    lab.respond()
    assert len(sts.taken) == len(lab.policies) == 6


def test_one_resource_that_cannot_be_packed_is_the_error(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build(interfaces=3)
    sts = PackedSts(monkeypatch, None)
    target = lab.plan()
    sts.most = 700
    with pytest.raises(SessionPolicyTooLarge) as caught:
        ec2_instance.contain(lab.context(), target)
    assert "by hand (runbook)" in str(caught.value) and MEMBER in str(caught.value)
    assert not closed(lab)
    assert min(len(json.dumps(policy, separators=(",", ":"))) for policy in sts.refused) < 1000, (
        "halved before"
    )


@pytest.mark.usefixtures("full_models")  # of the restore function
@pytest.mark.parametrize("most", [1180, 1100])
def test_what_was_contained_in_smaller_sessions_is_restored(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    lab.build(interfaces=4)
    before = lab.groups()
    sts = PackedSts(monkeypatch, most)
    assert lab.respond().status is Status.CONTAINED
    assert sts.refused
    assert lab.restore().status is Status.RESTORED
    assert lab.groups() == before
    assert lab.role_policies() == {}


@pytest.mark.usefixtures("full_models")
def test_a_setting_whose_session_cannot_be_packed_is_not_restored_and_the_others_are(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build(interfaces=2)
    assert lab.respond().status is Status.CONTAINED
    sts = PackedSts(monkeypatch, None)

    def refusing(**request: Any) -> Any:
        sts.most = 0 if "iam:DeleteRolePolicy" in request["Policy"] else None
        return sts.answer(**request)

    sts.answer_with(refusing)
    result = lab.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert not closed(lab)
    [left] = result.not_restored
    assert "PackedPolicyTooLarge" in left


# -- evidence --------------------------------------------------------------------------------------


def test_a_snapshot_set_is_one_call_so_its_volumes_are_pinned_by_the_instance(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target = evidence.plan()
    sts = PackedSts(monkeypatch, 680)
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    assert len(evidence.snapshots()) == 2
    assert evidence.operations().count("CreateSnapshots") == 1
    volume = f"volume/{target.scope['volumes'][0]}"
    assert sts.refused and all(volume in json.dumps(policy) for policy in sts.refused)
    used = [policy for policy in sts.taken if "ec2:CreateSnapshots" in json.dumps(policy)]
    assert used and all("volume/*" in json.dumps(policy) for policy in used)
    assert all(target.arn in json.dumps(policy) for policy in used)


@pytest.mark.parametrize(("most", "refused"), [(None, 0), (1020, 1)])
def test_copies_whose_sources_cannot_be_packed_together_are_made_in_a_session_each(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch, most: int | None, refused: int
) -> None:
    configure_vault(evidence)
    evidence.build()
    target = evidence.plan()
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    sts = PackedSts(monkeypatch, most)
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    made = set(own(evidence, MEMBER))
    assert len(made) == 2
    assert len({json.dumps(policy) for policy in sts.refused}) == refused
    assert permissions(sts.refused) <= permissions(sts.taken)
    for policy in sts.taken:
        named = {id for id in made if f"snapshot/{id}" in json.dumps(policy)}
        assert len(named) <= 2 - refused
        assert not any(arn.endswith(":*:snapshot/*") for arn in sources(policy))
