"""Contains a compromised EC2 instance. playbooks/ec2_instance/runbook.md says how, and how to undo
each action.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, wait
from threading import Event
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.chained_denial import NAME
from guardduty_response.containment.contract import Check, Context, Planned, StepResult, Target
from guardduty_response.containment.planned_state import planned_state
from guardduty_response.containment.target_context import BRANCHES, SKIPPED
from guardduty_response.decision import policy
from guardduty_response.decision.finding import get
from guardduty_response.errors import NoTarget
from guardduty_response.playbooks.ec2_instance import (
    action_order,
    first_change,
    former_roles,
    network,
    read_ahead,
)
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.group_rules import GroupRules
from guardduty_response.playbooks.ec2_instance.instance_context import LOOKED_FOR, InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import InstanceControl
from guardduty_response.playbooks.ec2_instance.quarantine_groups import make_planned
from guardduty_response.playbooks.ec2_instance.state import (
    InstanceGone,
    InstanceState,
    Interface,
    is_empty,
    look,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.target_context import Sessions
    from guardduty_response.incident.model import ChangeEvent

COLLECTS_FIRST = True
LATER = (
    "guardduty_response.playbooks.ec2_instance.consequences",
    "guardduty_response.playbooks.ec2_instance.verify",
    "guardduty_response.playbooks.ec2_instance.held_sessions",
    "guardduty_response.containment.denial_ladder",
)
KNOWS_STATE_BEFORE = True  # first_change.close_planned
FINISHES_GONE = True  # CloudTrail shows late what its credentials got of other roles


def prepare(context: Context, account_id: str, region: str) -> None:
    """Opens the session that ``plan`` reads by, which is the same for every instance there."""
    from guardduty_response.playbooks.ec2_instance.consequences import READ

    place = Target("ec2_instance", "", "", account_id, region)
    sessions = action_order.reading(InstanceContext(context, place), *READ)
    for service in ("ec2", "autoscaling", "elbv2", "iam"):  # are built while STS is asked
        sessions.client(service)


def plan(context: Context) -> list[Planned]:
    """Plans the containment of the finding's instance; what else cannot be read is left out.

    Raises NoTarget, TargetGone, RoleUnavailable.
    """
    from guardduty_response.playbooks.ec2_instance.consequences import READ

    target = _target(context)
    instance = InstanceContext(context, target)
    sessions = action_order.reading(instance, *READ)
    if context.expect:
        context.expect(target, sessions.session_of(""))
    read_ahead.begin(instance, sessions)
    try:
        return _plan(instance, sessions)
    finally:
        read_ahead.end(instance)


def _plan(instance: InstanceContext, sessions: Sessions) -> list[Planned]:
    from guardduty_response.playbooks.ec2_instance.consequences import Consequences

    context, target = instance.context, instance.target
    try:
        current = look(instance, sessions.client("ec2"))
    except InstanceGone as ended:
        if not context.finding.sample:
            from guardduty_response.playbooks.ec2_instance import gone

            return [gone.plan(instance, sessions, ended)]
        sample = _sample(context.finding.detail)
        controls = action_order.look(instance, sessions, sample, exists=False)
        intents = _planned_actions(instance, sample, controls)
        text = "sample finding: the instance does not exist"
        return [Planned(target, actions={name: f"{text}; {said}" for name, said in intents})]
    for_others = Consequences(instance, current, sessions)  # reads beside the controls
    controls = action_order.look(instance, sessions, current)
    former = former_roles.find(instance, sessions, current)
    intents = _planned_actions(instance, current, controls)
    intents += former_roles.planned(instance, former, dict(intents))
    # A group's rules are not restored.
    kept = planned_state(control for control in controls if control.name != GroupRules.name)
    target = target._replace(scope={**_scope(instance, current), **kept, **former.scope(instance)})
    role = current.settings.get("profile", {}).get("role")
    principals = [role] if role else []
    return [
        Planned(
            target,
            current.tags,
            principals,
            dict(intents),
            for_others.text(controls),
            immutable_id=instance.id,
            keep=former_roles.keep(instance, current, former),
        )
    ]


def _target(context: Context) -> Target:
    finding = context.finding
    id = get(
        finding.detail,
        "resource",
        "instanceDetails",
        "instanceId",
    )
    if not isinstance(id, str) or not id.startswith("i-"):
        raise NoTarget(
            f"finding {finding.id} ({finding.type}) names no instance"
            f" (resource.instanceDetails.instanceId is {id!r}): nothing can be contained; look at"
            " the finding in the GuardDuty console"
        )
    arn = f"arn:{context.config.partition}:ec2:{finding.region}:{finding.account_id}:instance/{id}"
    return Target(
        "ec2_instance",
        id,
        arn,
        finding.account_id,
        finding.region,
    )


def _planned_actions(
    instance: InstanceContext, current: InstanceState, controls: list[InstanceControl]
) -> list[tuple[str, str]]:
    """Returns (action, sentence) of what will be done, is already so, or is known to fail."""
    intents = {control.name: control.intent() for control in controls}
    planned = [(name, text) for name, (status, text) in intents.items() if status != SKIPPED]
    options, context = instance.options, instance.context
    had_role = (current.settings.get("profile") or {}).get("role") or instance.former
    if instance.looks_for_sessions and had_role:
        planned.append((NAME, LOOKED_FOR))
    if seconds := policy.collect_first_seconds(context.config, context.finding.type):
        text = f"collected over Systems Manager first; containment waits {seconds} s for it at most"
        planned.append(("forensics", text))
    if options["snapshot"]:
        volumes = ", ".join(disk["VolumeId"] for disk in current.disks.values()) or "all volumes"
        planned.append(("snapshot", f"one crash-consistent snapshot set of {volumes}"))
    finish = options["finish"]
    ending = {"stop": "stopped", "terminate": "terminated, which cannot be undone,"}.get(finish)
    if ending:
        text = f"{ending} once contained, and once its snapshots are complete"
        planned.append((f"{finish}_instance", text))
    return planned


def _scope(instance: InstanceContext, current: InstanceState) -> dict[str, object]:
    """Returns what later steps' sessions are narrowed to.

    What is absent could not be read: contain looks again.
    """
    profile = current.settings.get("profile") or {}
    scaling = current.settings.get("auto_scaling") or {}
    addresses = current.settings.get("addresses") or []
    scope: dict[str, object] = {
        "interfaces": [interface.id for interface in current.interfaces if not interface.managed],
        "vpcs": current.vpcs,
        # Interfaces are put into these before anything is read again.
        "groups": {
            vpc: group["GroupId"]
            for vpc, group in current.groups.items()
            if vpc in current.vpcs and is_empty(instance, current, group["GroupId"])
        },
        "volumes": [disk["VolumeId"] for disk in current.disks.values()],
        "role": profile.get("role", ""),
        "profile": profile.get("name", ""),
        "profile_id": profile.get("id", ""),
        "profile_association": profile.get("association", ""),
        "auto_scaling_group": scaling.get("group", ""),
        "addresses": [address["allocation"] for address in addresses],
    }
    if "groups" not in current.read_errors:
        used = {interface.vpc for interface in current.interfaces if not interface.managed}
        scope["missing_groups"] = sorted(used - current.groups.keys())
    if "target_groups" in current.settings:
        scope["target_groups"] = current.settings["target_groups"]
    return scope


def _sample(detail: Mapping[str, object]) -> InstanceState:
    """Returns what the finding itself tells of an instance that exists nowhere."""
    named = get(
        detail,
        "resource",
        "instanceDetails",
        "networkInterfaces",
    )
    interfaces = []
    for interface in named if isinstance(named, list) else []:
        groups = get(interface, "securityGroups") or []
        interfaces.append(
            Interface(
                str(get(interface, "networkInterfaceId")),
                str(get(interface, "vpcId")),
                tuple(str(get(group, "groupId")) for group in groups),
            )
        )
    return InstanceState({"State": {"Name": "running"}}, interfaces)


def contain(context: Context, target: Target) -> StepResult:
    """Closes the network first. The other controls start when its calls are under way; sessions of
    other roles are denied at the end. Each control records, acts and fails on its own.
    """
    if target.attach or target.verify_only:
        return StepResult(
            detail=f"linked to incident {target.attach or context.incident_id}; nothing was changed"
        )
    instance = InstanceContext(context, target)
    scope = target.scope
    allowed = network.sessions(
        instance, scope.get("interfaces", []), scope.get("vpcs", []), scope.get("groups", {})
    )
    # The session for the network is opened first, because everything waits for it.
    ec2, changing = allowed.client("ec2"), action_order.changing(instance)
    closing = BRANCHES.submit(first_change.close_planned, instance, allowed)
    making = BRANCHES.submit(make_planned, instance, allowed)
    try:
        current = look(instance, ec2, stored=True)
    except InstanceGone as ended:
        from guardduty_response.playbooks.ec2_instance import gone

        making.exception()  # no call goes on when the step has ended
        text = first_change.reconcile_gone(
            instance,
            allowed,
            closing,
            ended,
        )
        return StepResult(detail=f"{text}; {gone.deny(instance, changing, ended)}")
    except Exception as error:
        making.exception()
        done = closing.result()  # what it raises comes first: then nothing was changed
        refused = isinstance(error, ClientError) and not is_transient(error)
        if not refused and not done.answers:
            raise
        text = first_change.log_undescribed(instance, done, error)
        if not refused:
            raise
        return StepResult(detail=text)
    _close(
        instance,
        allowed,
        changing,
        current,
        closing,
        making,
    )
    return StepResult(
        detail=f"Quarantine attempted on {len(current.interfaces)} interfaces; see actions."
    )


def _close(
    instance: InstanceContext,
    allowed: Sessions,
    changing: Sessions,
    current: InstanceState,
    closing: Future[first_change.Closed],
    making: Future[dict[str, AwsAnswer | Exception]],
) -> None:
    """Closes the network, and does beside it and after it what the other controls say."""
    started, revoking = Event(), RevokeSessions(instance, changing, current)
    logging = instance.logging = []

    def branch(kinds: tuple[type[InstanceControl], ...]) -> None:
        # All other actions wait: the network needs the CPU until its changes are under way.
        started.wait()
        try:
            for kind in kinds:
                control = kind(instance, changing, current)
                (revoking if kind is RevokeSessions else control).run()
        finally:
            if RevokeSessions in kinds:
                revoking.attempted.set()

    branches = {kinds: BRANCHES.submit(branch, kinds) for kinds in action_order.branches(instance)}
    revoked = next(future for kinds, future in branches.items() if RevokeSessions in kinds)
    preparing = BRANCHES.submit(_prepare_search, instance, changing, started)
    try:
        closed, made = closing.result(), making.result()
        network.close(instance, allowed, current, started.set, closed, made)
        started.set()
        wait({preparing, *branches.values()} - {revoked})
        revoking.attempted.wait()
        _raise_problem(future for future in branches.values() if future.done())
        former = former_roles.find(instance, changing, current)
        former_roles.deny(instance, changing, current, former)
        _search(instance, changing, revoking, revoked)
    finally:
        started.set()
        wait({preparing, *branches.values()})  # no call goes on when the step has ended
        wait(logging)
    _raise_problem([*branches.values(), *logging])


def _prepare_search(instance: InstanceContext, changing: Sessions, started: Event) -> None:
    started.wait()
    from guardduty_response.playbooks.ec2_instance import held_sessions

    held_sessions.prepare(instance, changing)


def _search(
    instance: InstanceContext, changing: Sessions, revoking: RevokeSessions, revoked: Future[None]
) -> None:
    """Denies sessions of other roles, when nothing is left to close: this asks CloudTrail in every
    Region. The role on which the instance's sessions are denied is tagged meanwhile.
    """
    from guardduty_response.playbooks.ec2_instance import held_sessions

    held_sessions.deny(instance, changing, revoking, revoked.exception)


def _raise_problem(ended: Iterable[Future[None]]) -> None:
    """An action logs its own failure. What it raises is a failure to write the record."""
    for future in ended:
        future.result()


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    """Verifies the containment: CONTAINED, PARTIAL, FAILED or GONE, or asks for contain again."""
    from guardduty_response.playbooks.ec2_instance import verify as _verify

    return _verify.verify(context, target)


def contain_lost(context: Context, target: Target, names: Collection[str]) -> None:
    """Does again what the minor checks ``names`` found undone, and nothing else."""
    instance = InstanceContext(context, target)
    sessions = action_order.reading(instance)  # a control opens what it changes by
    current = look(instance, sessions.client("ec2"), stored=True)
    for kind in action_order.controls(instance):
        if kind.minor and kind.name in names:
            kind(instance, sessions, current).run()


def find_actors(
    context: Context,
    target: Target,
    failed: list[Check],
    since: str,
    seen: ChangeEvent | None,
    watched: list[str],
) -> list[ChangeEvent]:
    """Finds who undid the containment, by CloudTrail."""
    from guardduty_response.playbooks.ec2_instance import actors

    return actors.find(
        InstanceContext(context, target),
        failed,
        since,
        seen,
        watched,
    )


def why_gone(context: Context, target: Target) -> str:
    """Returns that the instance no longer exists; empty: it does. Raises what else AWS answers."""
    from guardduty_response.playbooks.ec2_instance import gone

    return gone.why_gone(InstanceContext(context, target))


def finish(context: Context, target: Target) -> StepResult:
    """Stops the instance where that is switched on and loses nothing, and looks once more for what
    its credentials got of other roles.
    """
    if target.attach or target.verify_only:
        return StepResult(detail="linked")
    from guardduty_response.playbooks.ec2_instance import late_look

    return late_look.finish(context, target)
