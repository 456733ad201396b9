"""What the principal did, as CloudTrail has it: in every Region, all of it, nothing of others, and what changed picked out."""

from __future__ import annotations

import gzip
import json
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import collect_lab
import pytest
from botocore.exceptions import ClientError
from collect_lab import HOME, KEY, MEMBER, OTHER, PREFIX, REGION, CollectLab, session, user
from guardduty_response import aws
from guardduty_response.playbooks.common import lookup
from guardduty_response.playbooks.iam_principal.collect import actions, found, regions

Json = dict[str, Any]
PAUSE = lookup.PAUSE_SECONDS


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectLab]:
    yield from collect_lab.account(monkeypatch)


def names(events: list[Json]) -> list[str]:
    return [one.get("eventName") or one["name"] for one in events]


# -- whose events -----------------------------------------------------------------------------------------------------


def test_a_users_calls_in_every_region_once_each(lab: CollectLab) -> None:
    lab.build()
    here = lab.happened("RunInstances", 300)
    lab.happened("GetCallerIdentity", 200, HOME)
    lab.happened("CreateUser", 100, HOME, user(key="ASIATEMPORARY"))
    lab.happened("DeleteTrail", 90, OTHER)
    lab.happened("DeleteTrail", 90, "eu-north-1")  # not asked: lookup_regions names another
    [part] = lab.collect(actions)
    assert part.outcome == "COMPLETE"
    assert lab.events(REGION) == [here]
    assert names(lab.events()) == ["RunInstances", "GetCallerIdentity", "CreateUser", "DeleteTrail"]
    assert [names(one) for one in lab.changes()] == [["RunInstances", "CreateUser", "DeleteTrail"]]
    assert {one["region"] for one in lab.asked} == {REGION, HOME, OTHER}
    assert {(one["key"], one["value"]) for one in lab.asked} == {("AccessKeyId", KEY), ("Username", "alice")}
    assert "4 events of iam_user alice, 3 of them changes that succeeded, by LookupEvents in 3 Regions" in part.detail


def test_events_of_others_that_bear_the_name_are_not_the_users(lab: CollectLab) -> None:
    lab.build()
    lab.happened("CreateUser", who=session("alice"))  # a session that somebody called so
    lab.happened("CreateUser", who=user(key="AKIAOTHER", accountId="999999999999"))  # a user of another account
    mine = lab.happened("CreateRole", who=user(key=""))  # by the console, without a key
    lab.collect(actions)
    assert lab.events() == [mine]


def test_a_session_alone(lab: CollectLab) -> None:
    """By the role's unique id: another role's session may bear the same name, and the name may be used again."""
    lab.stolen().build()
    own = lab.happened("CreateUser", who=session("i-0123456789abcdef0"))
    renewed = lab.happened("CreateRole", 30, who=session("i-0123456789abcdef0", key="ASIARENEWED"))
    lab.happened("CreateUser", who=session("i-0123456789abcdef0", "other", "AROAOTHER00000000001", key="ASIAOTHER"))
    lab.happened("CreateUser", who=session("i-99999999999999999"))
    lab.happened("CreateUser", who=session("i-99999999999999999", key="ASIAELSE"))
    lab.trail[3]["record"]["userIdentity"]["accessKeyId"] = "ASIAELSE"
    [part] = lab.collect(actions)
    assert lab.events() == [own, renewed]
    assert [one["session"] for one in lab.changes()[0]] == ["i-0123456789abcdef0"] * 2
    assert part.outcome == "COMPLETE"


def test_a_session_whose_roles_id_the_finding_lacks(lab: CollectLab) -> None:
    lab.stolen(unique_id="").build()
    lab.details = {**lab.details, "principalId": ":i-0123456789abcdef0"}
    own = lab.happened("CreateUser", who=session("i-0123456789abcdef0", key="ASIARENEWED"))
    lab.happened("CreateUser", who=session("i-0123456789abcdef0", "other", key="ASIAOTHER"))
    lab.collect(actions)
    assert lab.events() == [own]


def test_root_and_a_federated_user(lab: CollectLab) -> None:
    lab.build()
    lab.kind, lab.id, lab.details = "root", "root", {"userType": "Root", "userName": "Root", "accessKeyId": ""}
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload())
    root = lab.happened("CreateUser", who={"type": "Root", "principalId": MEMBER, "arn": f"arn:aws:iam::{MEMBER}:root"})
    lab.happened("CreateUser", who=user("root", "AKIAELSE"))  # a user of that name
    lab.collect(actions)
    assert lab.events() == [root]
    lab.kind, lab.id, lab.details = "federated_user", "bob", {"userType": "FederatedUser", "principalId": f"{MEMBER}:bob"}
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload())
    bob = lab.happened("CreateUser", who={"type": "FederatedUser", "principalId": f"{MEMBER}:bob", "accessKeyId": "ASIABOB"})
    lab.happened("CreateUser", who=session("bob"))
    lab.collect(actions)
    assert lab.events() == [bob]


def test_nothing_to_ask_by(lab: CollectLab) -> None:
    lab.kind, lab.id, lab.details = "unknown_principal", "unknown_principal", {}
    lab.build()
    [part] = lab.collect(actions)
    assert (part.outcome, lab.asked) == ("NOT_POSSIBLE", [])
    assert "aws cloudtrail lookup-events" in part.task


def test_switched_off(lab: CollectLab) -> None:
    lab.build().options["list_actions"] = False
    [part] = lab.collect(actions)
    assert (part.outcome, lab.asked, lab.stored()) == ("SKIPPED", [], {})


# -- changes ----------------------------------------------------------------------------------------------------------


def test_what_is_a_change_and_what_is_kept_of_it(lab: CollectLab) -> None:
    lab.build()
    made = lab.happened("CreateAccessKey", 100, HOME, requestParameters={"userName": "mallory"},
                        responseElements={"accessKey": {"accessKeyId": "AKIANEW", "userName": "mallory"}})  # fmt: skip
    lab.happened("DeleteUser", 90, HOME, errorCode="AccessDenied")
    lab.happened("ConsoleLogin", 80, HOME, errorMessage="Failed authentication")
    lab.happened("ListUsers", 70, HOME)
    lab.happened("StopInstances", 60, readOnly="false")
    lab.happened("DescribeInstances", 50, readOnly="true")
    lab.collect(actions)
    first, second = lab.changes()[0]
    assert first == {
        "id": made["eventID"], "at": made["eventTime"], "name": "CreateAccessKey", "source": "iam.amazonaws.com", "region": HOME,
        "account": MEMBER, "who": f"arn:aws:iam::{MEMBER}:user/alice", "key": KEY, "session": "", "from": "198.51.100.7",
        "agent": "aws-cli/2", "parameters": {"userName": "mallory"},
        "response": {"accessKey": {"accessKeyId": "AKIANEW", "userName": "mallory"}},
    }  # fmt: skip
    assert second["name"] == "StopInstances"
    assert len(lab.events()) == 6


def test_what_the_response_itself_did_is_no_change(lab: CollectLab) -> None:
    role = f"{PREFIX}-responder-iam-principal"
    lab.stolen(role, "inc-1").build()
    lab.happened("AttachUserPolicy", who=session("inc-1", role))
    [part] = lab.collect(actions)
    assert (len(lab.events()), lab.changes(), part.state["mutating"]) == (1, [], 0)


def test_secrets_are_in_nothing_that_is_written(lab: CollectLab) -> None:
    lab.build()
    lab.happened("CreateAccessKey", 50, HOME, responseElements={"accessKey": {"accessKeyId": "AKIANEW", "secretAccessKey": "S1"}})
    lab.happened("CreateLoginProfile", 40, HOME,
                 requestParameters={"userName": "m", "password": "S1", "passwordResetRequired": False})  # fmt: skip
    lab.happened("ModifyDBInstance", 30, requestParameters={"masterUserPassword": "S1", "list": [{"newPassword": "S1"}]})
    lab.happened("PutSecretValue", 20, requestParameters={"secretId": "arn:x", "secretString": "S1", "secretBinary": "S1"})
    lab.assumed("ASIAFOLLOWED")
    lab.collect(actions)
    written = {name: gzip.decompress(content) if name.endswith("gz") else content for name, content in lab.stored().items()}
    assert len(written) > 4
    for name, content in written.items():
        assert b'"S1"' not in content and b"TOKEN-IN-CLEAR" not in content, name
    profile = {one["name"]: one["parameters"] for one in lab.changes()[0]}
    assert profile["CreateLoginProfile"] == {"userName": "m", "passwordResetRequired": False}
    assert profile["PutSecretValue"] == {"secretId": "arn:x"}
    assert json.dumps(lab.kept("actions")).count("S1") == 0


def test_parameters_are_bounded(lab: CollectLab) -> None:
    lab.build()
    deep: Json = {"end": 1}
    for _ in range(60):
        deep = {"in": deep}
    lab.happened(
        "CreateFunction", 50, requestParameters={"name": "f", "deep": deep, "many": list(range(5000)), "text": "x" * 90_000}
    )
    lab.happened("CreatePolicy", 40, requestParameters={f"p{index}": "y" * 11_000 for index in range(150)} | {"name": "p"})
    lab.collect(actions)
    one, other = lab.changes()[0]
    assert (one["parameters"]["name"], len(one["parameters"]["many"])) == ("f", 200)
    assert len(json.dumps(one)) < 70_000
    assert other["parameters"] == {"name": "p"}


def test_too_many_changes_are_counted_and_said(lab: CollectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.build()
    monkeypatch.setattr(found, "MOST_CHANGES", 3)
    for index in range(5):
        lab.happened("CreateUser", 60 + index)
    [part] = lab.collect(actions)
    assert (len(lab.changes()[0]), len(lab.events()), part.outcome) == (3, 5, "PARTIAL")
    assert "2 more than" in part.detail
    assert "actions/round-N" in part.task


# -- Regions, pages, refusals -----------------------------------------------------------------------------------------


def test_every_enabled_region_by_default(lab: CollectLab) -> None:
    lab.build().options["lookup_regions"] = []
    lab.happened("CreateTrail", region="eu-central-1")
    [part] = lab.collect(actions)
    enabled = {one["RegionName"] for one in lab.see("ec2").describe_regions(AllRegions=False)["Regions"]}
    assert {one["region"] for one in lab.asked} == enabled
    assert len(enabled) > 15
    assert names(lab.changes()[0]) == ["CreateTrail"]
    assert part.outcome == "COMPLETE"


def test_enabled_regions_that_cannot_be_listed(lab: CollectLab) -> None:
    lab.build().options["lookup_regions"] = []
    lab.fail("DescribeRegions", "UnauthorizedOperation")
    [part] = lab.collect(actions)
    assert {one["region"] for one in lab.asked} == {REGION, HOME}
    assert part.outcome == "PARTIAL"
    assert f"could not be listed (UnauthorizedOperation: injected): only {REGION} and {HOME} were asked" in part.detail
    assert "lookup_regions" in part.task


def test_all_pages(lab: CollectLab) -> None:
    lab.build().page = 5
    for index in range(23):
        lab.happened("CreateUser", 60 + index)
    lab.collect(actions)
    assert len({one["id"] for one in lab.changes()[0]}) == 23
    assert [one["at"] for one in lab.changes()[0]] == sorted(one["at"] for one in lab.changes()[0])
    assert lab.summary()["calls"][0]["count"] == 23


def test_throttling_in_one_region_keeps_what_there_is(lab: CollectLab) -> None:
    lab.build().page = 5
    for index in range(12):
        lab.happened("CreateUser", 60 + index, OTHER)
    lab.happened("CreateRole")
    lab.fail(
        "LookupEvents", "ThrottlingException", lambda asked: asked["region"] == OTHER and asked.get("NextToken") == "5", times=2
    )
    parts = lab.collect(actions)
    assert [part.outcome for part in parts] == ["RUNNING", "RUNNING", "COMPLETE"]
    assert "6 events of iam_user alice so far" in parts[0].detail
    assert len(lab.changes()[0]) == 13
    assert len(lab.events(OTHER)) == 12


def test_a_region_that_throttles_for_ever_is_given_up_and_said(lab: CollectLab) -> None:
    lab.build()
    lab.happened("CreateRole")
    lab.fail("LookupEvents", "ThrottlingException", lambda asked: asked["region"] == OTHER)
    part = lab.collect(actions)[-1]
    assert part.outcome == "PARTIAL"
    assert f"not asked: {OTHER} (cannot be asked (ThrottlingException: injected))" in part.detail
    assert f"--region {OTHER}" in part.task and f"--region {REGION}" not in part.task
    assert names(lab.changes()[0]) == ["CreateRole"]


def test_a_token_that_did_not_last(lab: CollectLab) -> None:
    lab.build().page = 5
    for index in range(12):
        lab.happened("CreateUser", 60 + 10 * index)
    lab.fail("LookupEvents", "InvalidNextTokenException", lambda asked: asked.get("NextToken") == "5", times=2)
    [part] = lab.collect(actions)
    assert part.outcome == "COMPLETE"
    assert len({one["id"] for one in lab.changes()[0]}) == len(lab.changes()[0]) == 12


def test_a_region_that_refuses_is_named_with_the_command(lab: CollectLab) -> None:
    lab.build()
    lab.fail("LookupEvents", "AccessDeniedException", lambda asked: asked["region"] == OTHER)
    [part] = lab.collect(actions)
    assert part.outcome == "PARTIAL"
    assert f"not asked: {OTHER} (cannot be looked up (AccessDeniedException" in part.detail
    assert "AttributeKey=Username,AttributeValue=alice" in part.task and f"--region {OTHER}" in part.task
    assert part.state["cut_off"] in part.task and part.state["cut_off"] in part.detail
    left = lab.summary()["left"]
    assert {(one["region"], one["cut"]) for one in left} == {(OTHER, False)}


def test_refused_everywhere_has_failed_and_waits_for_nothing(lab: CollectLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.fail("LookupEvents", "AccessDeniedException")
    [part] = lab.collect(actions)
    assert (part.outcome, part.wait_seconds, part.state["listed"]) == ("FAILED", 0, 1)


def test_a_role_that_cannot_be_assumed(lab: CollectLab) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no such role"}}, "AssumeRole")

    lab.build()
    aws.client("sts").meta.events.register("before-parameter-build.sts.AssumeRole", refuse)
    [part] = lab.collect(actions)
    assert part.outcome == "FAILED"
    assert "cannot assume arn:aws:iam::222222222222:role/guardduty-response-collector-iam-principal" in part.detail


def test_names_are_quoted_in_commands(lab: CollectLab) -> None:
    question = lookup.question("Username", "x' ; rm -rf ~ #")
    command = lookup.command(question, actions.Window(0, 60), REGION)
    assert shlex.split(command)[4] == "AttributeKey=Username,AttributeValue=x' ; rm -rf ~ #"


def test_what_the_bound_of_pages_cuts_off_is_said_also_after_the_second_list(
    lab: CollectLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build().page = 5
    lab.options["repeat_minutes"] = 20
    for index in range(23):
        lab.happened("CreateUser", 3600 + index)
    monkeypatch.setattr(lookup, "MOST_PAGES", 2)
    parts = lab.collect(actions)
    assert "cut off after 2 pages, older calls were left" in parts[0].detail
    assert parts[-1].outcome == "PARTIAL"
    assert "cut off after 2 pages, older calls were left" in parts[-1].detail
    assert "AttributeKey=Username,AttributeValue=alice" in parts[-1].task
    assert len(lab.changes()[0]) == 10


def test_what_the_bound_of_events_cuts_off_is_said(lab: CollectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.build().page = 5
    for index in range(23):
        lab.happened("CreateUser", 60 + index)
    monkeypatch.setattr(found, "MOST_EVENTS", 8)
    monkeypatch.setattr(lookup, "PAGES_A_CALL", 2)
    part = lab.collect(actions)[-1]
    assert part.outcome == "PARTIAL"
    assert len(lab.events()) == 8
    assert "cut off after" in part.detail


def test_each_region_is_paced_by_itself(lab: CollectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PAUSE > 0.5
    monkeypatch.setattr(lookup, "PAUSE_SECONDS", 0.2)
    lab.build().page = 1
    for region in (REGION, HOME, OTHER):
        for index in range(2):
            lab.happened("CreateUser", 60 + index, region)
    lab.collect(actions)
    spans = []
    for region in (REGION, HOME, OTHER):
        times = [one["at"] for one in lab.asked if one["region"] == region]
        assert len(times) == 4
        assert min(later - earlier for earlier, later in pairwise(times)) > 0.19
        spans.append((times[0], times[-1]))
    assert max(start for start, _ in spans) < min(end for _, end in spans), "side by side"


def test_more_regions_than_threads_all_get_their_turn(lab: CollectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.build()
    monkeypatch.setattr(regions, "_POOL", ThreadPoolExecutor(max_workers=1))
    lab.happened("CreateUser", region=OTHER)
    lab.collect(actions)
    assert names(lab.changes()[0]) == ["CreateUser"]


# -- the window -------------------------------------------------------------------------------------------------------


def test_the_window_begins_before_the_findings_first_event(lab: CollectLab) -> None:
    lab.first_seen = 3600
    lab.build().options["lookup_hours"] = 2
    lab.happened("CreateUser", 3 * 3600 + 60)
    mine = lab.happened("CreateRole", 3 * 3600 - 60)
    lab.collect(actions)
    assert lab.events() == [mine]


def test_no_older_than_cloudtrail_answers(lab: CollectLab) -> None:
    lab.first_seen = 200 * 86400
    lab.build()
    lab.collect(actions)
    assert min(one["start"] for one in lab.asked) >= time.time() - 90 * 86400


# -- followed sessions ------------------------------------------------------------------------------------------------


def admin(key: str) -> Json:
    return session("s", "admin", "AROAADMIN00000000001", key)


def test_sessions_that_a_user_assumed_are_listed_too(lab: CollectLab) -> None:
    lab.build()
    lab.assumed("ASIAFIRST", ago=500)
    lab.assumed("ASIASECOND", ago=400, region=OTHER, who=admin("ASIAFIRST"))  # from one role into the next
    lab.happened("CreateUser", 300, HOME, admin("ASIAFIRST"))
    lab.happened("DeleteTrail", 200, REGION, admin("ASIASECOND"))
    lab.happened("DeleteTrail", 100, REGION, admin("ASIAELSE"))  # the same role and session name, by somebody else
    [part] = lab.collect(actions)
    assert part.outcome == "COMPLETE"
    assert [(one["name"], one["key"], one["session"]) for one in lab.changes()[0]] == [
        ("CreateUser", "ASIAFIRST", "s"), ("DeleteTrail", "ASIASECOND", "s")]  # fmt: skip
    assert "with the calls of 2 sessions that it assumed" in part.detail
    assert [one["key"] for one in part.state["issued"]] == ["ASIAFIRST", "ASIASECOND"]


def test_a_session_of_another_account_is_said_with_the_command(lab: CollectLab) -> None:
    lab.build()
    lab.assumed("ASIAABROAD", "arn:aws:iam::999999999999:role/admin")
    [part] = lab.collect(actions)
    assert part.outcome == "PARTIAL"
    assert "in account 999999999999: aws cloudtrail lookup-events" in part.task
    assert "AttributeValue=ASIAABROAD" in part.task
    assert "ASIAABROAD" not in {one["value"] for one in lab.asked}


def test_what_a_session_assumed_is_said_and_not_followed(lab: CollectLab) -> None:
    """It is contained alone, so what it went on as is a person's question."""
    lab.stolen().build()
    lab.assumed("ASIANEXT", who=session("i-0123456789abcdef0"))
    lab.happened("CreateUser", who=admin("ASIANEXT"))
    [part] = lab.collect(actions)
    assert (part.outcome, names(lab.events())) == ("PARTIAL", ["AssumeRole"])
    assert "AttributeValue=ASIANEXT" in part.task


def test_only_so_many_sessions_are_followed(lab: CollectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "MOST_FOLLOWED", 2)
    lab.build()
    for index in range(3):
        lab.assumed(f"ASIA{index}", ago=60 + index)
        lab.happened("CreateUser", 10 + index, who=admin(f"ASIA{index}"))
    [part] = lab.collect(actions)
    assert len(lab.changes()[0]) == 2
    assert part.outcome == "PARTIAL"
    assert "in this account: aws cloudtrail lookup-events" in part.task


def test_an_assumerole_that_failed_is_not_followed(lab: CollectLab) -> None:
    lab.build()
    lab.happened("AssumeRole", errorCode="AccessDenied", requestParameters={"roleArn": "arn:aws:iam::1:role/x"})
    [part] = lab.collect(actions)
    assert (part.outcome, part.state["issued"]) == ("COMPLETE", [])


# -- two rounds -------------------------------------------------------------------------------------------------------


def test_listed_once_more_for_what_came_late(lab: CollectLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.happened("CreateUser", 120)
    first = lab.once(actions)
    assert (first.outcome, first.state["round"], first.state["listed"]) == ("RUNNING", 1, 1)
    assert 1190 <= first.wait_seconds <= 1200, "one long wait"
    assert first.state["due"] == first.state["window"][1] + 1200
    assert first.state["cut_off"] == actions.iso(first.state["window"][1])
    assert first.state["cut_off"] in first.detail
    late = lab.happened("CreateRole", 90)  # recorded meanwhile, made before
    lab.ahead = 600
    new = lab.happened("DeleteRole", 5)
    waiting = lab.once(actions)
    assert waiting.outcome == "RUNNING" and 590 <= waiting.wait_seconds <= 600
    assert len(lab.asked) == 6, "nothing is asked while it waits"
    lab.ahead = 1201
    last = lab.once(actions)
    assert (last.outcome, last.state["round"], last.state["listed"]) == ("COMPLETE", 2, 2)
    assert [names(one) for one in lab.changes()] == [["CreateUser"], ["CreateRole", "DeleteRole"]]
    assert lab.events(round=2) == [late, new]
    assert last.state["cut_off"] > first.state["cut_off"]
    assert lab.summary()["cut_off"] == last.state["cut_off"]
    assert sum(one["count"] for one in lab.summary()["calls"]) == last.state["events"] == 3
    again = lab.asked[6:]
    assert {one["start"] for one in again} == {first.state["window"][1] - lookup.LAG_SECONDS}


def test_a_session_met_in_the_second_round_is_asked_for_from_the_start(lab: CollectLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.once(actions)
    lab.assumed("ASIALATE", ago=60)
    lab.happened("CreateUser", 3000, who=admin("ASIALATE"))
    lab.ahead = 1201
    assert lab.once(actions).outcome == "COMPLETE"
    assert names(lab.changes()[0]) == ["CreateUser"]


def test_a_task_stays_while_the_second_list_is_waited_for(lab: CollectLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.fail("LookupEvents", "AccessDeniedException", lambda asked: asked["region"] == OTHER)
    task = lab.once(actions).task
    lab.ahead = 60
    assert task and lab.once(actions).task == task
    assert lab.kept("actions")["task"] == task


def test_the_ledger_is_small_whatever_was_found(lab: CollectLab) -> None:
    lab.build().options |= {"lookup_regions": [], "repeat_minutes": 20}
    for index in range(400):
        lab.happened("CreateUser", 60 + index, requestParameters={"userName": f"u{index}" * 20})
    lab.once(actions)
    assert len(json.dumps(lab.kept("actions")["state"])) < 4000
    assert len(lab.changes()[0]) == 400


def test_a_call_that_died_loses_and_repeats_nothing(lab: CollectLab) -> None:
    """What it had stored is written again by the next one, which knows only what the ledger says."""
    lab.build().page = 5
    for index in range(12):
        lab.happened("CreateUser", 60 + index)
    lab.fail("LookupEvents", "ThrottlingException", lambda asked: asked.get("NextToken") == "5", times=1)
    assert lab.once(actions).outcome == "RUNNING"
    assert lab.once(actions, keep=False).outcome == "COMPLETE"
    assert lab.once(actions).outcome == "COMPLETE"
    assert len({one["id"] for one in lab.changes()[0]}) == len(lab.changes()[0]) == 12
    assert len({one["eventID"] for one in lab.events()}) == len(lab.events()) == 12
