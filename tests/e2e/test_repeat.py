"""The same finding again, many at once, and after people or attackers changed something."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sandbox.seed import Victim
from tests.e2e.e2e_checks import assert_contained, assert_network_closed, assert_told_contained
from tests.e2e.e2e_world import PREFIX, Json, World, actions, events


def _open_again(world: World, victim: Victim) -> None:
    """Somebody puts the old group back on one interface."""
    world.client(
        "ec2",
    ).modify_network_interface_attribute(
        NetworkInterfaceId=victim.interfaces[-1], Groups=[victim.security_group]
    )
    world.spread()


def _artefacts(world: World, victim: Victim) -> Json:
    seen = world.look(victim)
    return {
        "groups": world.quarantine_groups(victim),
        "snapshots": sorted(snapshot["SnapshotId"] for snapshot in seen.snapshots),
        "policies": sorted(seen.role_policies),
        "interfaces": seen.interfaces,
        "tags": seen.tags,
    }


def test_the_same_finding_ten_times_at_once(world: World) -> None:
    """One incident, one group, one snapshot set, one denial, one start, one verdict: nothing
    twice.

    It failed under load while neither machine's Retry named ``Sandbox.Timedout``, which Lambda
    answers for an environment that was too slow.
    """
    victim = world.victim()
    event = world.finding(victim)
    with ThreadPoolExecutor(10) as pool:
        sent = list(pool.map(world.send, [event] * 10))
    assert len({sending.event_id for sending in sent}) == 10
    ended = [world.ended(sending) for sending in sent]
    notices = [each["notice"] for each in ended]
    world.until(lambda: all(notice.status() != "RUNNING" for notice in notices), "all have looked")
    shown = [execution.describe() for each in ended for execution in each.values()]
    # The cause says which state failed, and on what: an execution is rare to see again.
    assert [
        (execution["name"], execution.get("error"), execution.get("cause"))
        for execution in shown
        if execution["status"] != "SUCCEEDED"
    ] == []
    incident = world.incident(sent[0])
    assert_contained(
        world,
        victim,
        incident,
    )
    assert_told_contained(world, sent[0])
    assert incident["emissions"] == 10
    assert events(incident).count("opened") == events(incident).count("announced") == 1
    finding_ids = [incident["finding_id"] for incident in world.incidents.all()]
    assert finding_ids.count(event.detail["id"]) == 1
    assert len(world.quarantine_groups(victim)) == 1
    worked = [each["incident"].transitions() for each in ended]
    assert sorted(worked)[8] <= 7, "nine of them lose the claim, are counted, and end"


def test_two_findings_on_one_instance_at_once(world: World) -> None:
    """Both end CONTAINED: the second waits for the first, joins its containment and verifies it."""
    victim = world.victim()
    # Both must have seen the instance before either has finished with it.
    world.fault(
        "ec2",
        "ModifyNetworkInterfaceAttribute",
        victim.interfaces[0],
        latency_ms=1500,
    )
    pair = [
        world.finding(victim, kind)
        for kind in ("CryptoCurrency:EC2/BitcoinTool.B!DNS", "Backdoor:EC2/C&CActivity.B!DNS")
    ]
    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(world.send, pair))
    both = [world.settled(sending) for sending in sent]
    assert [incident["status"] for incident in both] == ["CONTAINED", "CONTAINED"]
    [first, second] = [incident["targets"][0] for incident in both]
    assert first["before"] == second["before"], "one state before, of one containment"
    assert first["evidence"]["snapshots"] == second["evidence"]["snapshots"], "one set"
    done = {name for name, status in actions(both[0]).items() if status == "DONE"}
    assert {"quarantine_network", "snapshot", "revoke_sessions"} <= done
    by_id = {incident["incident_id"]: incident for incident in both}
    assert_contained(
        world,
        victim,
        by_id[world.look(victim).tags[f"{PREFIX}-incident"]],
    )
    for sending in sent:
        assert "CONTAINED" in world.notified(sending)
        assert world.notified(sending, "escalations") == []
    texts = [
        message["text"]
        for incident in both
        for message in world.messages(incident["incident_id"])
        if message["event"] == "CONTAINED"
    ]
    for incident in both:
        others = [text for text in texts if f"for {incident['incident_id']} too" in text]
        assert others, "each says that the containment is for the other too"


def test_emitted_again_while_contained(world: World) -> None:
    """GuardDuty counts a finding up: containment is read back, the activity is told once, and
    nothing is made twice.
    """
    victim = world.victim()
    event = world.finding(victim)
    first = world.send(event)
    world.ended(first)
    before, notified = _artefacts(world, victim), world.messages(first)
    again = world.send(event, again=True)
    ended = world.ended(again)
    incident = world.incident(again)
    assert (incident["status"], incident["emissions"]) == ("CONTAINED", 2)
    assert events(incident).count("verdict CONTAINED") == 2, "it was read back"
    assert _artefacts(world, victim) == before
    new = [message for message in world.messages(first) if message not in notified]
    assert len(new) == 1
    assert "GuardDuty saw activity" in new[0]["text"]
    assert world.notified(first, "escalations") == []
    assert ended["incident"].status() == "SUCCEEDED"


def test_undone_containment_is_breached_and_answered(world: World) -> None:
    """Somebody opened it again: BREACHED at the next emission, people are woken, and in auto it
    is contained anew at once.
    """
    victim = world.victim(
        in_asg=False,
        target_group=False,
        elastic_ip=False,
    )
    event = world.finding(victim)
    sent = world.send(event)
    assert world.settled(sent)["status"] == "CONTAINED"
    _open_again(world, victim)
    contained = world.settled(world.send(event, again=True))
    [woken] = world.messages(sent, "escalations")
    assert woken["event"] == "BREACHED"
    assert victim.interfaces[-1] in woken["text"]
    assert contained["status"] == "CONTAINED"
    assert_network_closed(world, victim)


def test_after_failing_it_is_tried_again(world: World) -> None:
    """A finding that could not be contained is evaluated anew when it is emitted again."""
    victim = world.plain()
    event = world.finding(victim)
    for interface in victim.interfaces:
        world.fault(
            "ec2", "ModifyNetworkInterfaceAttribute", interface, error="UnauthorizedOperation"
        )
    sent = world.send(event)
    failed = world.settled(sent)
    assert (failed["status"], failed["targets"][0]["status"]) == ("FAILED", "FAILED")
    assert actions(failed)["quarantine_network"] == "FAILED"
    [woken] = [
        message for message in world.messages(sent, "escalations") if message["event"] == "FAILED"
    ]
    assert victim.interfaces[0] in woken["text"].split("Open tasks")[1]
    world.mend()
    contained = world.settled(world.send(event, again=True))
    assert (contained["status"], contained["emissions"]) == ("CONTAINED", 2)
    assert_network_closed(world, victim)


def test_an_interface_attached_between_act_and_verify(world: World) -> None:
    """Verify reads every interface anew and sends contain out again."""
    victim = world.plain()
    # The tag comes beside the network: contain is held here once every interface known to it is
    # closed.
    world.fault(
        "ec2",
        "CreateTags",
        victim.instance,
        latency_ms=2500,
    )
    sent = world.send(world.finding(victim))
    [interface] = victim.interfaces

    def closed() -> bool:
        shown = world.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[interface])[
            "NetworkInterfaces"
        ][0]
        return [group["GroupName"] for group in shown["Groups"]] == [f"{PREFIX}-quarantine"]

    world.until(closed, "the first interface is closed")
    ec2 = world.client("ec2")
    late = ec2.create_network_interface(SubnetId=victim.subnet, Groups=[victim.security_group])[
        "NetworkInterface"
    ]
    ec2.attach_network_interface(
        NetworkInterfaceId=late["NetworkInterfaceId"], InstanceId=victim.instance, DeviceIndex=1
    )
    world.mend()
    incident = world.settled(sent)
    assert incident["status"] == "CONTAINED"
    seen = assert_network_closed(world, victim)
    assert late["NetworkInterfaceId"] in seen.interfaces
    checked = {check["name"] for check in incident["targets"][0]["checks"]}
    assert f"interface {late['NetworkInterfaceId']}" in checked
