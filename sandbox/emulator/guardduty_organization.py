"""GuardDuty of an organization: delegated administrator, auto-enable, members and their features.

Real behaviour kept: only the management account delegates, to one account of the organization, per
Region; before that nobody configures the organization; ALL makes every account a member (on AWS
within a day, here at once); a feature that is ALL cannot be set for one member; a member is deleted
only once it is disassociated, and disassociated only while neither auto-enable nor a protection
plan is ALL; such an answer is a success that names the account as not processed; one call takes 50
accounts; the deprecated dataSources are the plans of before, for new accounts or for none; a member
does not set its own plans; the management account is a member only once it has a detector of its
own. Where an AWS message is quoted in public, it is that; the sentences of the other refusals are
the sandbox's.
"""

from __future__ import annotations

from typing import Any

from . import guardduty_features as features
from . import settings
from .guardduty_plane import (
    ApiError,
    Call,
    Detector,
    Json,
    Plane,
    Routes,
    create_detector,
    new_id,
    now,
    plane_of,
)

ROUTES = Routes()
_NOT_MANAGEMENT = (
    "The request failed because you are not the master account for your AWS Organization."
)
_NOT_IN_ORGANIZATION = (
    "The request failed because admin account passed is not member of AWS Organizations."
)
_ANOTHER = (
    "The request failed because another account is already enabled as GuardDuty delegated"
    " administrator for the organization."
)
_ALREADY = (
    "The request is rejected because the given account ID is already a member or associated member"
    " of the current account."
)
_NOT_ASSOCIATED = (
    "The request is rejected because the given account ID is not an associated member of account"
    " the current account."
)
_INVITED = (
    "The request is rejected because the current account has already invited or is already the"
    " GuardDuty master of the given member account ID."
)
_MANAGEMENT_FIRST = (
    "Operation failed because your organization master must first enable GuardDuty to be added as a"
    " member"
)
_STILL_ALL = "The request is rejected because the organization's auto-enable setting is ALL."
_PLAN_STILL_ALL = (
    "The request is rejected because the organization's auto-enable setting of {} is ALL."
)
_STILL_ASSOCIATED = (
    "The request is rejected because the current account cannot delete the specified member account"
    " ID because it is still associated to it."
)
_AT_ONCE = 50
_ASSOCIATED = ("Enabled", "Disabled", "Invited")


def accounts() -> set[str]:
    """Return every account of the sandbox's organization."""
    return {*settings.ORGANIZATION_ACCOUNTS, settings.MANAGEMENT_ACCOUNT}


def _administrators(region: str) -> list[Json]:
    return plane_of(settings.MANAGEMENT_ACCOUNT, region).administrators


def _is_administrator(plane: Plane) -> bool:
    return any(
        administrator["adminAccountId"] == plane.account
        for administrator in _administrators(plane.region)
    )


def _management_only(plane: Plane) -> None:
    if plane.account != settings.MANAGEMENT_ACCOUNT:
        raise ApiError(_NOT_MANAGEMENT)


@ROUTES.add("POST", "/admin/enable")
def enable_administrator(plane: Plane, call: Call) -> Json:
    _management_only(plane)
    account = call.body["adminAccountId"]
    if account not in accounts():
        raise ApiError(_NOT_IN_ORGANIZATION)
    if any(administrator["adminAccountId"] != account for administrator in plane.administrators):
        raise ApiError(_ANOTHER)
    plane.administrators = [{"adminAccountId": account, "adminStatus": "ENABLED"}]
    administrator = plane_of(account, plane.region)
    if not administrator.detectors:
        create_detector(administrator, {"enable": True})
    return {}


@ROUTES.add("POST", "/admin/disable")
def disable_administrator(plane: Plane, call: Call) -> Json:
    """Members are let go; their detectors stay as they are."""
    _management_only(plane)
    account = call.body["adminAccountId"]
    if all(administrator["adminAccountId"] != account for administrator in plane.administrators):
        raise ApiError(features.INVALID)
    plane.administrators = []
    for detector in plane_of(account, plane.region).detectors.values():
        for member in [name for name in detector.children["member"] if name in accounts()]:
            del detector.children["member"][member]
        detector.organization = {}
    return {}


@ROUTES.add("GET", "/admin")
def administrators(plane: Plane, _call: Call) -> Json:
    _management_only(plane)
    return {"adminAccounts": plane.administrators}


def _organization(detector: Detector) -> Json:
    if not detector.organization:
        detector.organization = {
            "autoEnableOrganizationMembers": "NONE",
            "features": features.new_organization(),
        }
    return detector.organization


@ROUTES.add("GET|POST", "/detector/{detector}/admin")
def organization(plane: Plane, call: Call) -> Json:
    detector = plane.detector(call.path["detector"])
    if not _is_administrator(plane):
        raise ApiError(features.INVALID)
    found = _organization(detector)
    if call.method == "POST":
        _configure(plane, detector, call.body)
        return {}
    return {
        "autoEnable": found["autoEnableOrganizationMembers"] != "NONE",
        "memberAccountLimitReached": False,
        "dataSources": features.data_sources(found["features"]),
        **found,
    }


def _configure(plane: Plane, detector: Detector, body: Json) -> None:
    found = _organization(detector)
    members = body.get("autoEnableOrganizationMembers")
    if (members is None) == (body.get("autoEnable") is None) or members not in (
        None,
        "ALL",
        "NEW",
        "NONE",
    ):
        raise ApiError(features.INVALID)
    wanted = [
        *features.of_data_sources(body.get("dataSources") or {}),
        *(body.get("features") or []),
    ]
    found["features"] = features.merge_organization(found["features"], wanted)
    found["autoEnableOrganizationMembers"] = members or ("NEW" if body["autoEnable"] else "NONE")
    if found["autoEnableOrganizationMembers"] == "ALL":
        for account in sorted(accounts() - {plane.account, *_associated(detector)}):
            _add(plane, detector, {"accountId": account, "email": f"{account}@example.com"})
    for account in _associated(detector) & accounts():
        _enable(plane, account, features.enabled_by(found["features"], "ALL"))


def _associated(detector: Detector) -> set[str]:
    return {
        name
        for name, member in detector.children["member"].items()
        if member["relationshipStatus"] in _ASSOCIATED
    }


def is_a_member(plane: Plane) -> bool:
    """Return whether an administrator of the organization manages this account's GuardDuty."""
    return any(
        plane.account in _associated(detector)
        for administrator in _administrators(plane.region)
        for detector in plane_of(administrator["adminAccountId"], plane.region).detectors.values()
    )


def may_be_deleted(detector: Detector) -> bool:
    """Return whether no member keeps a detector from being deleted."""
    return not _associated(detector)


def _enable(plane: Plane, account: str, wanted: list[features.Feature]) -> None:
    for own in plane_of(account, plane.region).detectors.values():
        own.document["features"] = features.merge(own.document["features"], wanted)


def _add(plane: Plane, detector: Detector, detail: Json) -> str | None:
    """Make an account of the organization a member, with what the organization's settings say;
    why not, or None.
    """
    account = detail["accountId"]
    if account == plane.account or account in _associated(detector):
        return _ALREADY
    own = plane_of(account, plane.region)
    if not own.detectors and account == settings.MANAGEMENT_ACCOUNT:
        return _MANAGEMENT_FIRST
    if not own.detectors:
        identifier = create_detector(own, {"enable": True})
        wanted = {
            feature["name"]
            for feature in features.enabled_by(_organization(detector)["features"], "ALL", "NEW")
        }
        off: list[features.Feature] = [
            {"name": name, "status": "DISABLED"}
            for name in features.CONFIGURATIONS
            if name not in wanted
        ]
        document = own.detectors[identifier].document
        for plan in off:
            document["features"] = features.merge(document["features"], [plan])
    _keep(plane, detector, detail, "Enabled", next(iter(own.detectors)))
    _enable(plane, account, features.enabled_by(_organization(detector)["features"], "ALL", "NEW"))
    return None


def _keep(plane: Plane, detector: Detector, detail: Json, status: str, own: str) -> None:
    detector.children["member"][detail["accountId"]] = {
        "accountId": detail["accountId"],
        "email": detail["email"],
        "relationshipStatus": status,
        "masterId": plane.account,
        "administratorId": plane.account,
        "detectorId": own,
        "invitedAt": now(),
        "updatedAt": now(),
    }


def _unprocessed(account: str, why: str) -> Json:
    return {"accountId": account, "result": why}


def _some(accounts: list[Any]) -> list[Any]:
    """Return what a request lists; ApiError for too many or none."""
    if not 1 <= len(accounts) <= _AT_ONCE:
        raise ApiError(features.INVALID)
    return accounts


@ROUTES.add("POST|GET", "/detector/{detector}/member")
def members(plane: Plane, call: Call) -> Json:
    detector = plane.detector(call.path["detector"])
    kept = detector.children["member"]
    if call.method == "GET":
        only = call.query.get("onlyAssociated", ["true"])[0] != "false"
        return {
            "members": [
                member for name, member in kept.items() if not only or name in _associated(detector)
            ]
        }
    refused = []
    for detail in _some(call.body["accountDetails"]):
        if _is_administrator(plane) and detail["accountId"] in accounts():
            why = _add(plane, detector, detail)
        else:
            why = _ALREADY if detail["accountId"] in kept else None
            if why is None:
                _keep(plane, detector, detail, "Created", new_id())
        if why:
            refused.append(_unprocessed(detail["accountId"], why))
    return {"unprocessedAccounts": refused}


def _change(plane: Plane, detector: Detector, account: str, operation: str) -> str | None:
    """Invite, disassociate or delete one member; why not, or None."""
    kept = detector.children["member"]
    member = kept.get(account)
    if member is None:
        return _NOT_ASSOCIATED
    organizational = _is_administrator(plane) and account in accounts()
    if operation == "invite":
        if organizational or account in _associated(detector):
            return _INVITED
        member.update(relationshipStatus="Enabled", invitedAt=now())
    elif operation in ("disassociate", "delete", "stop"):
        if organizational and _organization(detector)["autoEnableOrganizationMembers"] == "ALL":
            return _STILL_ALL
        everybody = features.for_all(_organization(detector)["features"])
        if organizational and everybody and operation == "disassociate":
            return _PLAN_STILL_ALL.format(min(everybody))
        if operation == "delete":
            if account in _associated(detector):
                return _STILL_ASSOCIATED
            del kept[account]
        else:
            member["relationshipStatus"] = "Removed" if operation == "disassociate" else "Disabled"
    return None


@ROUTES.add("POST", "/detector/{detector}/member/{operation}")
def member_operation(plane: Plane, call: Call) -> Json:
    detector = plane.detector(call.path["detector"])
    kept = detector.children["member"]
    names = _some(call.body["accountIds"])
    if call.path["operation"] == "get":
        missing = [_unprocessed(name, _NOT_ASSOCIATED) for name in names if name not in kept]
        return {
            "members": [kept[name] for name in names if name in kept],
            "unprocessedAccounts": missing,
        }
    done = {name: _change(plane, detector, name, call.path["operation"]) for name in names}
    return {"unprocessedAccounts": [_unprocessed(name, why) for name, why in done.items() if why]}


@ROUTES.add("POST", "/detector/{detector}/member/detector/{operation}")
def member_detectors(plane: Plane, call: Call) -> Json:
    detector = plane.detector(call.path["detector"])
    names = _some(call.body["accountIds"])
    wanted = call.body.get("features") or []
    refused = [
        _unprocessed(name, _NOT_ASSOCIATED) for name in names if name not in _associated(detector)
    ]
    known = [name for name in names if name in _associated(detector)]
    if call.path["operation"] == "update":
        everybody = (
            features.overruled(_organization(detector)["features"], wanted)
            if _is_administrator(plane)
            else None
        )
        if everybody:
            raise ApiError(_PLAN_STILL_ALL.format(everybody))
        for name in known:
            _enable(plane, name, wanted)
        return {"unprocessedAccounts": refused}
    found = []
    for name in known:
        for own in plane_of(name, plane.region).detectors.values():
            plans = [
                feature
                for feature in own.document["features"]
                if feature["name"] not in features.FOUNDATIONAL
            ]
            found.append({"accountId": name, "features": plans})
    return {"members": found, "unprocessedAccounts": refused}
