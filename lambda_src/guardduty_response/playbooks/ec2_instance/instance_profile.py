"""The instance profile: reads which one the instance has and the role that a profile holds, and
gives it another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    describe_error,
    name_of,
    result_or_raise,
    run_all,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.ec2_instance import read_ahead
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.containment.target_context import Sessions
    from guardduty_response.playbooks.ec2_instance.records import InstanceProfile

# What passes when an association has been taken away whole, or the instance has stopped
PASSING_ERRORS = ("IncorrectState", "IncorrectInstanceState")
STATE_ERRORS = (*PASSING_ERRORS, "UnsupportedOperation")
PAUSES = (0.5, 1.0, 2.0, 3.0, 3.5)  # seconds until a call is repeated after one of those
# So long the credentials that EC2 gives an instance are valid at most, as far as is known.
HOURS = 6


def profile(
    sessions: Sessions, instance: InstanceContext, current: InstanceState
) -> InstanceProfile:
    """Returns the live profile. The one that DescribeInstances names is asked for its role in the
    same round trip.
    """
    expected = name_of(str((current.instance.get("IamInstanceProfile") or {}).get("Arn") or ""))
    associations = read_ahead.associations(sessions, instance.id)
    calls: dict[str, Callable[[], AwsAnswer | str]] = {
        "": read_ahead.taken(instance, read_ahead.ASSOCIATIONS, associations)
    }
    # Contained, it has another profile than it had, and that may be shown late.
    if expected and not (instance.scope("role") or instance.before_state("profile")):
        got = _profile_read(sessions, instance, expected)
        calls[expected] = lambda: _roles_in(got())
    results = run_all(calls)
    described = cast("AwsAnswer", result_or_raise(results[""]))
    live = [
        association
        for association in described["IamInstanceProfileAssociations"]
        if association["State"] in ("associating", "associated")
    ]
    if not live:
        return {}
    name = name_of(live[0]["IamInstanceProfile"]["Arn"])
    found: InstanceProfile = {"association": live[0]["AssociationId"], "name": name}
    if id := live[0]["IamInstanceProfile"].get("Id"):
        found["id"] = str(id)
    if instance.scope("role") and instance.scope("profile_association") == found["association"]:
        return {**found, "role": instance.scope("role")}
    try:
        role = str(result_or_raise(results[name])) if name in results else roles_of(sessions, name)
    except ClientError as error:
        return {**found, "role": "", "error": describe_error(error)}
    return {**found, "role": role}


def roles_of(sessions: Sessions, profile_name: str) -> str:
    """Returns the ARN of the profile's role: a profile holds one at most."""
    return _roles_in(read_ahead.instance_profile(sessions, profile_name)())


def role_and_id_of(sessions: Sessions, instance: InstanceContext, name: str) -> tuple[str, str]:
    """Returns as ``roles_of`` does, and the profile's unique ID. The read that the plan has begun
    serves where there is one.
    """
    got = _profile_read(sessions, instance, name)()
    return _roles_in(got), str(got["InstanceProfile"].get("InstanceProfileId") or "")


def _profile_read(
    sessions: Sessions, instance: InstanceContext, name: str
) -> Callable[[], AwsAnswer]:
    read = read_ahead.instance_profile(sessions, name)
    return read_ahead.taken(instance, read_ahead.profile_key(name), read)


def is_another(instance: InstanceContext, id: str) -> bool:
    """Tells whether the profile with that unique ID is another one than the finding names, though
    it may have the same name. No: one of the IDs is not known.
    """
    details = get(instance.context.finding.detail, "resource", "instanceDetails")
    named = text(get(details, "iamInstanceProfile", "id"), 128)
    return bool(named and id) and named != id


def is_deleted(sessions: Sessions, role: str) -> bool:
    """Tells whether a role (its ARN) no longer exists: its sessions may do nothing."""
    try:
        sessions.client("iam").get_role(RoleName=name_of(role))
    except AWS_ERRORS as error:  # what else is wrong, denying it will tell
        return error_code(error) == "NoSuchEntity"
    return False


def _roles_in(got: AwsAnswer) -> str:
    return "".join(role["Arn"] for role in got["InstanceProfile"]["Roles"])


def give_profile(
    ec2: AwsClient, id: str, current: InstanceState, association: str | None, name: str
) -> AwsAnswer:
    """Gives the instance the profile ``name`` instead of the one under ``association`` (None: it
    has none). Returns the answer, which may have the IDs of two requests.

    A stopped instance's profile is taken and given in two calls. The first takes effect after its
    answer: until then EC2 answers the second with IncorrectState, and it is repeated.
    """
    new, requests = {"Name": name}, []
    if association and is_running(current):
        replace = ec2.replace_iam_instance_profile_association
        try:
            return dict(replace(AssociationId=association, IamInstanceProfile=new))
        except ClientError as error:
            if error_code(error) not in STATE_ERRORS:
                raise
    if association:
        take = partial(ec2.disassociate_iam_instance_profile, AssociationId=association)
        requests.append(clients.request_id(_repeat(take)))
    give = partial(ec2.associate_iam_instance_profile, InstanceId=id, IamInstanceProfile=new)
    requests.append(clients.request_id(_repeat(give)))
    return {"ResponseMetadata": {"RequestId": ",".join(requests)}}


def is_running(current: InstanceState) -> bool:
    return (current.instance.get("State") or {}).get("Name") in ("pending", "running")


def _repeat(call: Callable[[], AwsAnswer]) -> AwsAnswer:
    """Makes a call, and again after each of PAUSES while EC2 answers that a state is not right yet.
    Raises the last error.
    """
    for seconds in PAUSES:
        try:
            return dict(call())
        except ClientError as error:
            if error_code(error) not in PASSING_ERRORS:
                raise
        time.sleep(seconds)
    return dict(call())
