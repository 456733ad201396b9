"""What AWS Config recorded of a user or role: found in the Region that records IAM, and said where
none does.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.playbooks.iam_principal.evidence import config_history

from tests.unit.playbooks.config_stand_in import ALL, DAY
from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import ROLE_ID, USER_ID
from tests.unit.playbooks.iam_principal.evidence_lab import HOME, OTHER, REGION, EvidenceLab

Json = dict[str, Any]
USER, ROLE = "AWS::IAM::User", "AWS::IAM::Role"
WITH_IAM = ALL | {"includeGlobalResourceTypes": True}
DESCRIBES = "DescribeConfigurationRecorders"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    for made in evidence_lab.account(monkeypatch):
        made.build()
        yield made


def collected(lab: EvidenceLab) -> EvidenceItem:
    return lab.collect(config_history)[-1]


def lines(lab: EvidenceLab) -> list[Json]:
    return [
        json.loads(line)
        for name, content in sorted(lab.stored().items())
        if name.startswith("config-history/items-")
        for line in gzip.decompress(content).decode().splitlines()
    ]


def kept(lab: EvidenceLab) -> list[str]:
    return [line["configuration"] for line in lines(lab)]


def of(items: list[Json]) -> list[str]:
    return [item["configuration"] for item in items]


def test_a_user_in_the_region_that_records_iam(lab: EvidenceLab) -> None:
    lab.config.recorder(REGION)
    lab.config.recorder(HOME, WITH_IAM)
    made = lab.config.recorded(USER, USER_ID, HOME, 3600, 20 * DAY)
    item = collected(lab)
    assert (item.outcome, item.task, kept(lab)) == ("COMPLETE", "", of(made))
    assert f"3 Regions were asked whether they record {USER}: recorded in {HOME}." in item.detail
    assert "managed policies and groups have histories of their own, which are not" in item.detail
    assert set(lab.config.regions_asked()) == {HOME}
    assert set(lab.config.regions_asked(DESCRIBES)) == {REGION, HOME, OTHER}
    assert set(lab.stored()) == {
        "config-history/items-001.jsonl.gz",
        "config-history/summary.json",
    }


def test_a_role_of_a_session(lab: EvidenceLab) -> None:
    lab.stolen().build_record()
    lab.config.recorder(REGION, WITH_IAM)
    made = lab.config.recorded(ROLE, ROLE_ID, REGION, 3600)
    lab.config.recorded(USER, ROLE_ID, REGION, 60)
    item = collected(lab)
    assert (item.outcome, kept(lab)) == ("COMPLETE", of(made))
    assert f"1 configuration items of 1 {ROLE}, from 20" in item.detail


def test_the_id_that_the_finding_does_not_say(lab: EvidenceLab) -> None:
    lab.details["principalId"] = ""
    id = lab.see("iam").create_user(UserName="alice")["User"]["UserId"]
    lab.config.recorder(REGION, WITH_IAM)
    made = lab.config.recorded(USER, id, REGION, 3600)
    assert (collected(lab).outcome, kept(lab)) == ("COMPLETE", of(made))


def test_an_id_that_is_no_roles_is_not_asked_for(lab: EvidenceLab) -> None:
    lab.stolen(unique_id=USER_ID).build_record()
    made = lab.see("iam").create_role(RoleName="app", AssumeRolePolicyDocument="{}")
    lab.config.recorder(REGION, WITH_IAM)
    items = lab.config.recorded(ROLE, made["Role"]["RoleId"], REGION, 3600)
    assert (collected(lab).outcome, kept(lab)) == ("COMPLETE", of(items))


@pytest.mark.parametrize("sample", [False, True])
def test_a_user_that_is_gone_and_has_no_id(lab: EvidenceLab, sample: bool) -> None:
    lab.sample, lab.details["principalId"] = sample, ""
    lab.config.recorder(REGION, WITH_IAM)
    item = collected(lab)
    assert (item.outcome, lab.config.asked) == ("NOT_POSSIBLE", [])
    command = f"--resource-type {USER} --resource-name alice --include-deleted-resources"
    assert (command in item.task) is not sample


@pytest.mark.parametrize(
    ("kind", "id", "details"),
    [
        ("root", "root", {"userType": "Root"}),
        ("foreign_principal", "999999999999", {"userType": "AWSAccount"}),
    ],
)
def test_what_iam_of_the_account_does_not_have(
    lab: EvidenceLab, kind: str, id: str, details: Json
) -> None:
    lab.kind, lab.id, lab.details = kind, id, details
    lab.build_record()
    item = collected(lab)
    assert (item.outcome, item.task, lab.config.asked) == ("NOT_POSSIBLE", "", [])
    assert "AWS Config records nothing of it" in item.detail


def test_recorded_in_no_region(lab: EvidenceLab) -> None:
    """The history of a recorder that is gone may be there: the two likeliest Regions are asked."""
    lab.config.recorder(REGION)
    item = collected(lab)
    assert (item.outcome, item.task) == ("NOT_POSSIBLE", "")
    assert "recorded in none of them now" in item.detail
    assert f"AWS Config does not record it in {REGION}; AWS Config has no recorder in {HOME}" in (
        item.detail
    )
    assert lab.config.regions_asked() == [REGION, HOME]


def test_what_a_deleted_recorder_left_is_read(lab: EvidenceLab) -> None:
    made = lab.config.recorded(USER, USER_ID, HOME, 3600)
    item = collected(lab)
    assert (item.outcome, kept(lab)) == ("PARTIAL", of(made))
    assert f"AWS Config has no recorder in {HOME} now" in item.detail


def test_a_recorder_that_runs_comes_before_one_that_is_stopped(lab: EvidenceLab) -> None:
    lab.config.recorder(REGION, WITH_IAM, stopped=7200)
    lab.config.recorder(HOME, WITH_IAM, started=20 * DAY)
    lab.config.recorder(OTHER, WITH_IAM, started=90 * DAY)
    for region in (REGION, HOME, OTHER):
        lab.config.recorded(USER, USER_ID, region, 3600)
    assert collected(lab).outcome == "COMPLETE"
    assert set(lab.config.regions_asked()) == {OTHER}, "has run the longest"


def test_a_stopped_one_has_history_too(lab: EvidenceLab) -> None:
    lab.config.recorder(REGION, WITH_IAM, stopped=7200)
    made = lab.config.recorded(USER, USER_ID, REGION, 3 * 3600)
    item = collected(lab)
    assert (item.outcome, kept(lab)) == ("PARTIAL", of(made))
    assert f"the recorder of AWS Config in {REGION} is stopped since 20" in item.detail


def test_the_next_region_where_the_first_has_not_discovered_it(lab: EvidenceLab) -> None:
    lab.config.recorder(HOME, WITH_IAM, started=90 * DAY)
    lab.config.recorder(OTHER, WITH_IAM)
    made = lab.config.recorded(USER, USER_ID, HOME, 3600)
    item = collected(lab)
    assert (item.outcome, kept(lab)) == ("COMPLETE", of(made))
    assert lab.config.regions_asked()[:2] == [OTHER, HOME]


def test_a_region_that_refuses_where_another_has_it(lab: EvidenceLab) -> None:
    lab.config.recorder(HOME, WITH_IAM)
    lab.config.recorded(USER, USER_ID, HOME, 3600)
    lab.fail(DESCRIBES, "AccessDeniedException", lambda asked: asked["region"] == OTHER)
    assert collected(lab).outcome == "COMPLETE"


def test_a_region_that_refuses_and_no_other_has_it(lab: EvidenceLab) -> None:
    """It may be recorded there: that is no NOT_POSSIBLE."""
    lab.config.recorder(HOME)
    lab.fail(DESCRIBES, "AccessDeniedException", lambda asked: asked["region"] == OTHER)
    item = collected(lab)
    assert item.outcome == "FAILED"
    assert f"whether AWS Config records in {OTHER} could not be read (AccessDenied" in item.detail
    assert f"describe-configuration-recorders --region {OTHER}" in item.task


def test_denied_everywhere(lab: EvidenceLab) -> None:
    for operation in (DESCRIBES, "GetResourceConfigHistory"):
        lab.fail(operation, "AccessDeniedException")
    item = collected(lab)
    assert (item.outcome, lines(lab)) == ("FAILED", [])
    assert f"{USER} {USER_ID}: AccessDeniedException: injected in {REGION}" in item.detail
    assert f"get-resource-config-history --resource-type {USER} --resource-id {USER_ID}" in (
        item.task
    )


def test_regions_that_cannot_be_listed(lab: EvidenceLab) -> None:
    lab.options["lookup_regions"] = []
    lab.fail("ListRegions", "AccessDeniedException")
    item = collected(lab)
    assert item.outcome == "FAILED"
    assert "the enabled Regions could not be listed (AccessDenied" in item.detail


def test_a_region_that_does_not_answer_is_asked_again_and_then_named(lab: EvidenceLab) -> None:
    lab.fail(DESCRIBES, "ThrottlingException", lambda asked: asked["region"] == OTHER)
    with pytest.raises(ClientError, match="ThrottlingException"):
        lab.once(config_history)
    lab.target_context().record_evidence(
        "config_history", {"outcome": "RUNNING", "detail": "", "state": {}, "tries": 2}
    )
    item = collected(lab)
    assert item.outcome == "FAILED"
    assert f"whether AWS Config records in {OTHER} could not be read (Throttling" in item.detail


def test_switched_off(lab: EvidenceLab) -> None:
    lab.options["config_history_days"] = 0
    assert (collected(lab).outcome, lab.config.asked) == ("SKIPPED", [])
