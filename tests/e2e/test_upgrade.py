"""A deployment of release 0.1.0 with incidents of every kind becomes the present one in place.

Nothing stateful is destroyed, and what 0.1.0 has begun goes on: docs/operations.md, "Upgrading from
0.1.0".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox import cli, human_request, lifecycle, undo_containment
from sandbox.seed import Victim
from sandbox.seed_iam import User
from tests.e2e import upgrade_lab
from tests.e2e.credential_world import People
from tests.e2e.e2e_checks import assert_network_closed
from tests.e2e.e2e_world import PREFIX, SECURITY, Json, World, events

pytestmark = pytest.mark.proof  # an apply of each release
APPROVE, DRY_RUN = "UnauthorizedAccess:EC2/TorClient", "Trojan:EC2/DNSDataExfiltration"
OTHER = "CryptoCurrency:EC2/BitcoinTool.B"  # a second finding about the same instance
CONTAINED, WAITING = ("kept", "linked", "undone"), ("approved", "rejected")
PLAYBOOKS = ("ec2_instance", "iam_principal")
MONITOR = (
    "aws_cloudwatch_log_group.this",
    "aws_cloudwatch_metric_alarm.dropped[0]",
    "aws_cloudwatch_metric_alarm.errors",
    "aws_iam_role.this",
    "aws_iam_role_policy.this",
    "aws_lambda_function.this",
    "aws_lambda_function_event_invoke_config.this[0]",
)
# Modules of the sandbox that forward events; the earlier release's forwarders go on to work.
FORWARDERS = {"member_changes", "member_changes_away", "second_member_changes", "second_region"}


@dataclass
class Upgraded:
    """Both releases' view of what release 0.1.0 has done, by name."""

    world: World
    victims: dict[str, Victim] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # incident ids
    before: dict[str, Json] = field(default_factory=dict)  # incidents as 0.1.0 left them
    changes: list[Json] = field(default_factory=list)
    stored: set[tuple[str, str]] = field(default_factory=set)
    objects: dict[str, str] = field(default_factory=dict)
    user: User | None = None
    user_before: Json = field(default_factory=dict)
    user_contained: Json = field(default_factory=dict)

    def incident(self, name: str) -> Json:
        return self.world.incident(self.names[name])

    def meta(self, name: str) -> Json:
        items = self.world.items(f"INCIDENT#{self.names[name]}")
        return next(item for item in items if item["sk"]["S"] == "META")


def _objects(world: World) -> dict[str, str]:
    """Key -> ETag of everything in the evidence bucket."""
    pages = world.client("s3", SECURITY).get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=world.outputs["evidence_bucket"])
    return {each["Key"]: each["ETag"] for page in found for each in page.get("Contents", [])}


def _stored(world: World) -> set[tuple[str, str]]:
    """The keys of every item in the incident table."""
    pages = world.client("dynamodb", SECURITY).get_paginator("scan")
    found = pages.paginate(TableName=world.outputs["table_name"], ConsistentRead=True)
    return {(each["pk"]["S"], each["sk"]["S"]) for page in found for each in page["Items"]}


def _respond(done: Upgraded) -> None:
    """Lets release 0.1.0 respond to a finding about each victim."""
    world, people = done.world, People(done.world)
    done.victims = {name: world.victim(in_asg=False) for name in CONTAINED}
    done.victims |= {name: world.plain() for name in (*WAITING, "rehearsed")}
    done.victims["failed"] = world.plain(interfaces=2)
    done.user = people.user(keys=1, console=True)
    done.user_before = people.seen(done.user.name)
    last = done.victims["failed"].interfaces[1]
    world.fault("ec2", "ModifyNetworkInterfaceAttribute", last, error="UnauthorizedOperation")
    kinds = {**dict.fromkeys(WAITING, APPROVE), "rehearsed": DRY_RUN}
    sent = {
        name: world.send(
            world.finding(victim, kinds[name]) if name in kinds else world.finding(victim)
        )
        for name, victim in done.victims.items()
    }
    sent["user"] = world.send(people.about(done.user))
    for name, event in sent.items():
        done.names[name] = str(event.incident_id)
        if name in WAITING:
            world.status(event, "AWAITING_APPROVAL")
        else:
            world.settled(event)
        done.before[name] = done.incident(name)
    world.mend()
    done.user_contained = people.seen(done.user.name)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    with upgrade_lab.deployed(tmp_path_factory.mktemp("upgrade")) as lab:
        done = Upgraded(lab.world)
        _respond(done)
        done.stored, done.objects = _stored(lab.world), _objects(lab.world)
        done.changes = lab.plan()
        lab.upgrade()
        done.world = lab.world
        yield done


def _scheduled_recheck(done: Upgraded, name: str) -> Json:
    """Lets an incident be checked, once the reconciler has taken it up; returns the incident."""
    world, incident_id = done.world, done.names[name]
    with world.sweeping():
        world.until(lambda: world.due(incident_id), f"checks of {name} are planned")
    world.check_now(incident_id)
    for each in done.names.values():
        world.quiet(each)
    return world.incident(incident_id)


def _snapshots(world: World, victim: Victim) -> list[str]:
    return sorted(str(snapshot["SnapshotId"]) for snapshot in world.look(victim).snapshots)


def _place(world: World, incident: Json) -> tuple[str, int]:
    """The containment that an incident's only target belongs to: ARN and generation; 0: none."""
    items = world.items(f"INCIDENT#{incident['incident_id']}")
    [target] = [item for item in items if item["sk"]["S"].startswith("TARGET#")]
    return target["arn"]["S"], int(target.get("generation", {}).get("N", 0))


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_checkout_without_the_tag_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    monkeypatch.setattr(upgrade_lab, "ROOT", tmp_path)
    monkeypatch.setenv("CI", ci)
    outcome: Any = pytest.fail.Exception if ci else pytest.skip.Exception
    with pytest.raises(outcome, match=f"the tag {upgrade_lab.TAG} .*this checkout does not"):
        upgrade_lab.previous_release(tmp_path / "previous")


# -- the plan, and what is stored ------------------------------------------------------------------


def test_release_0_1_0_did_its_work(upgraded: Upgraded) -> None:
    """Else the rest would prove nothing."""
    statuses = {name: incident["status"] for name, incident in upgraded.before.items()}
    assert statuses == {
        **dict.fromkeys((*CONTAINED, "user"), "CONTAINED"),
        **dict.fromkeys(WAITING, "AWAITING_APPROVAL"),
        "rehearsed": "DRY_RUN",
        "failed": "FAILED",
    }
    assert not any(pk.startswith("CONTAINMENT#") for pk, _ in upgraded.stored)


def test_the_plan_destroys_and_replaces_nothing(upgraded: Upgraded) -> None:
    changed = [change for change in upgraded.changes if change["actions"] != ["create"]]
    assert [change for change in changed if change["actions"] != ["update"]] == []
    members = ("module.member.", "module.second_member.")
    types = {str(change["address"]).rsplit(".", 2)[-2] for change in changed}
    assert types == {
        "aws_cloudwatch_event_rule",  # checks every minute; undoing calls: a rule for each playbook
        "aws_dynamodb_table",  # three indexes more, one less
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_kms_key",  # a statement of its policy that granted nothing
        "aws_lambda_function",
        "aws_sfn_state_machine",
        "aws_sqs_queue",  # of forwarders, whose new rule may use it
    }
    ours = [change for change in changed if change["address"].startswith("module.security.")]
    roles = [change for change in ours if ".aws_iam_role." in change["address"]]
    assert {text for role in roles for text in role["changed"]} == {"description"}
    of_members = [change for change in changed if str(change["address"]).startswith(members)]
    assert {str(change["address"]).split("[")[0].split(".", 2)[2] for change in of_members} <= {
        "aws_iam_role_policy.member"  # what may not be changed has more names
    }
    others = {change["address"].split(".")[1].split("[")[0] for change in changed} - {"security"}
    assert others <= FORWARDERS | {"member", "second_member"}
    every = {str(each["address"]) for each in upgraded.changes if each["actions"] == ["create"]}
    assert all('.member["monitor/' in address for address in every if address.startswith(members))
    created = {address for address in every if address.startswith("module.security.")}
    incident, function = "module.security.module.incident[0]", "module.security.module.function"
    monitors = [f'{function}["{name}/monitor"]' for name in PLAYBOOKS]
    assert created == {
        *(f"{monitor}.{resource}" for monitor in monitors for resource in MONITOR),
        *(f'{function}["{name}/playbook"].aws_lambda_alias.step["expire"]' for name in PLAYBOOKS),
        f"{incident}.aws_dynamodb_table_item.control",
        f"{incident}.aws_dynamodb_table_item.document",
        f"{incident}.terraform_data.config",
        f"{incident}.aws_cloudwatch_event_rule.outbox",
        f'{incident}.aws_cloudwatch_event_target.this["outbox"]',
        f"{incident}.aws_cloudwatch_event_rule.changes[1]",
        f'{incident}.aws_cloudwatch_event_target.this["changes-2"]',
        f'{incident}.aws_lambda_permission.watchdog["changes-2"]',
        f'{incident}.aws_lambda_permission.watchdog["outbox"]',
        *(f"{incident}.aws_cloudwatch_metric_alarm.{alarm}" for alarm in upgrade_lab.ALARMS),
    }


def test_a_second_plan_is_empty(upgraded: Upgraded) -> None:
    assert lifecycle.plan() == []


def test_everything_that_was_stored_is_there(upgraded: Upgraded) -> None:
    stored = _stored(upgraded.world)
    assert {key for key in upgraded.stored - stored if key[1] != "LEASE"} == set()
    objects = _objects(upgraded.world)
    reports = {key for key in upgraded.objects if "/report" in key or "/record" in key}
    changed = {key for key, tag in upgraded.objects.items() if objects.get(key) != tag}
    assert changed <= reports, "only reports and copies of records are written anew"


def test_people_read_the_old_incidents(
    upgraded: Upgraded, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["incidents", "--json"]) == 0
    listed = {each["incident_id"] for each in json.loads(capsys.readouterr().out)}
    assert set(upgraded.names.values()) <= listed
    for name in ("rehearsed", "kept", "user"):
        assert cli.main(["show", upgraded.names[name], "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        before = upgraded.before[name]
        assert (shown["status"], shown["finding_id"]) == (before["status"], before["finding_id"])
        assert [event["event"] for event in before["timeline"]] == events(shown)[
            : len(before["timeline"])
        ]
        [target], [old] = shown["targets"], before["targets"]
        for key in ("before", "evidence"):
            assert target[key] == old[key], key
        # By name: an incident that has been moved into a containment by now has them in that order.
        name_of = itemgetter("name")
        assert sorted(target["checks"], key=name_of) == sorted(old["checks"], key=name_of)


# -- what was contained ----------------------------------------------------------------------------


def test_the_watcher_finds_that_containment_still_stands(upgraded: Upgraded) -> None:
    world, victim = upgraded.world, upgraded.victims["kept"]
    snapshots, messages = _snapshots(world, victim), world.notified(upgraded.names["kept"])
    incident = _scheduled_recheck(upgraded, "kept")
    meta = upgraded.meta("kept")
    assert incident["status"] == "CONTAINED"
    assert world.checks(upgraded.names["kept"]) == [], "nothing was lost, so nothing was started"
    assert "unverified" not in meta and "not verified" not in events(incident)
    assert_network_closed(world, victim)
    assert _snapshots(world, victim) == snapshots, "no second set"
    assert world.notified(upgraded.names["kept"]) == messages, "nobody is notified"
    assert _place(world, incident)[1] == 1
    [target], [old] = incident["targets"], upgraded.before["kept"]["targets"]
    assert target["before"] == old["before"]


def test_a_second_finding_joins_the_containment(upgraded: Upgraded) -> None:
    world, victim = upgraded.world, upgraded.victims["linked"]
    snapshots = _snapshots(world, victim)
    second = world.respond(victim, OTHER)
    first = upgraded.incident("linked")
    assert (first["status"], second["status"]) == ("CONTAINED", "CONTAINED")
    assert _place(world, first) == _place(world, second) and _place(world, first)[1] == 1
    [target], [old] = second["targets"], upgraded.before["linked"]["targets"]
    assert target["before"] == old["before"]
    assert target["evidence"]["snapshots"] == old["evidence"]["snapshots"]
    assert _snapshots(world, victim) == snapshots, "no second set"
    assert human_request.ask(world.known, second)["status"] == "RESTORED"
    assert world.look(victim).interfaces == victim.groups
    assert upgraded.incident("linked")["status"] == "RESTORED", "the first one is told"


def test_what_is_undone_is_contained_again_and_restored_to_what_0_1_0_found(
    upgraded: Upgraded,
) -> None:
    world, victim = upgraded.world, upgraded.victims["undone"]
    done = undo_containment.undo(world.known, upgraded.incident("undone"))
    assert world.look(victim).interfaces[done.interface] == done.groups
    _scheduled_recheck(upgraded, "undone")
    incident = world.until(
        lambda: (
            (found := upgraded.incident("undone"))["status"] == "CONTAINED"
            and "contained again" in events(found)
            and found
        ),
        "it is contained again",
    )
    world.quiet(upgraded.names["undone"])
    assert_network_closed(world, victim)
    [loss] = [
        message
        for message in world.messages(upgraded.names["undone"], "escalations")
        if message["event"] == "BREACHED"
    ]
    assert done.interface in loss["text"]
    assert human_request.ask(world.known, cast(Json, incident))["status"] == "RESTORED"
    seen = world.look(victim)
    assert seen.interfaces == victim.groups
    assert set(seen.role_policies) == {"workload"}
    assert seen.profile is not None and not seen.profile.startswith(PREFIX)


def test_a_user_is_restored(upgraded: Upgraded) -> None:
    world, user = upgraded.world, upgraded.user
    assert user is not None
    people = People(world)
    assert upgraded.user_contained["keys"] == {user.keys[0].id: "Inactive"}
    assert not people.works(user.keys[0])
    incident = upgraded.incident("user")
    assert human_request.ask(world.known, incident)["status"] in ("RESTORED", "RESTORE_PARTIAL")
    seen = people.seen(user.name)
    assert (seen["keys"], seen["attached"]) == (
        upgraded.user_before["keys"],
        upgraded.user_before["attached"],
    )
    assert people.works(user.keys[0])


def test_a_finding_about_what_0_1_0_could_not_contain_keeps_its_state_before(
    upgraded: Upgraded,
) -> None:
    """It had closed one of two interfaces."""
    world, victim = upgraded.world, upgraded.victims["failed"]
    assert world.look(victim).interfaces != victim.groups
    with world.sweeping():
        world.until(lambda: _place(world, upgraded.incident("failed"))[1], "it is taken over")
    second = world.respond(victim)
    assert (second["status"], _place(world, second)[1]) == ("CONTAINED", 1)
    assert_network_closed(world, victim)
    assert upgraded.incident("failed")["status"] == "CONTAINED", "it follows its containment"
    assert human_request.ask(world.known, second)["status"] == "RESTORED"
    assert world.look(victim).interfaces == victim.groups


# -- what was still to be decided ------------------------------------------------------------------


def _answer(done: Upgraded, name: str, answer: Any) -> Json:
    """Answers the approval, as people do; returns the incident when its execution has ended."""
    meta, machines = done.meta(name), done.world.client("stepfunctions", SECURITY)
    machines.send_task_success(taskToken=meta["task_token"]["S"], output=json.dumps(answer))
    execution = meta["execution"]["S"]
    done.world.until(
        lambda: machines.describe_execution(executionArn=execution)["status"] != "RUNNING",
        "its execution ends",
    )
    described = machines.describe_execution(executionArn=execution)
    assert described["status"] == "SUCCEEDED", described
    history = machines.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in history
        if "stateEnteredEventDetails" in event
    ]
    assert "Claim" not in entered, "it keeps the definition that it began with"
    return done.incident(name)


def test_an_approval_that_waited_contains_behind_the_gate(upgraded: Upgraded) -> None:
    world, victim = upgraded.world, upgraded.victims["approved"]
    assert world.look(victim).interfaces == victim.groups
    incident = _answer(upgraded, "approved", {"approved": True})
    assert (incident["status"], _place(world, incident)[1]) == ("CONTAINED", 1)
    assert_network_closed(world, victim)
    meta = upgraded.meta("approved")
    assert meta["approved_digest"] == meta["plan_digest"]
    assert {"answer: approved", "verdict CONTAINED"} <= set(events(incident))
    assert human_request.ask(world.known, incident)["status"] == "RESTORED"
    assert world.look(victim).interfaces == victim.groups


def test_an_approval_that_is_refused_changes_nothing(upgraded: Upgraded) -> None:
    world, victim = upgraded.world, upgraded.victims["rejected"]
    incident = _answer(upgraded, "rejected", {"approved": False})
    assert incident["status"] == "REJECTED"
    assert world.look(victim).interfaces == victim.groups
    assert world.quarantine_groups(victim) == []


def test_when_all_is_taken_over_the_table_says_so(upgraded: Upgraded) -> None:
    world = upgraded.world
    with world.sweeping():
        world.until(
            lambda: "0.2" in [item["sk"]["S"] for item in world.items("MIGRATION")],
            "the marker is there",
        )
    for name in ("kept", "user", "approved"):
        assert _place(world, upgraded.incident(name))[1] == 1, name
