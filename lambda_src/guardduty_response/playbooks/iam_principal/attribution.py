"""Which of the principal's calls are the finding's: with its credential or one that it led to, and
from its address or after it began.

A user's owner works with the same user, and often with the same key. What is not shown to be the
finding's is listed for people. So is a call that may have replaced what was there before, or found
it as it was wanted, unless calls of the finding made the resource: the record has the principal's
calls alone, and does not show what others had set.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.finding import FindingDetail, get, text
from guardduty_response.playbooks.iam_principal import identify

if TYPE_CHECKING:
    from guardduty_response.playbooks.iam_principal.records import HandedOut
    from guardduty_response.playbooks.iam_principal.reversals.changes import Change


class _Making(NamedTuple):
    """Where the event of a call that makes a resource has its name and its unique ID."""

    what: str
    name: str
    id: str


# A bucket is known by its name, which no other bucket has; keys, snapshots and images by their IDs.
# A copy is not shared with those whom its source is shared with (Amazon EC2 and EBS User Guides).
_MAKING: Mapping[str, _Making] = MappingProxyType(
    {
        "iam:CreateUser": _Making("user", "r.user.userName", "r.user.userId"),
        "iam:CreateRole": _Making("role", "r.role.roleName", "r.role.roleId"),
        "iam:CreateGroup": _Making("group", "r.group.groupName", "r.group.groupId"),
        "iam:CreateAccessKey": _Making(
            "access_key", "r.accessKey.accessKeyId", "r.accessKey.accessKeyId"
        ),
        "s3:CreateBucket": _Making("bucket", "p.bucketName", "p.bucketName"),
        "ec2:CreateSnapshot": _Making("snapshot", "r.snapshotId", "r.snapshotId"),
        "ec2:CopySnapshot": _Making("snapshot", "r.snapshotId", "r.snapshotId"),
        "ec2:CreateSnapshots": _Making(
            "snapshot", "r.snapshotSet.items.*.snapshotId", "r.snapshotSet.items.*.snapshotId"
        ),
        "ec2:CreateImage": _Making("image", "r.imageId", "r.imageId"),
        "ec2:CopyImage": _Making("image", "r.imageId", "r.imageId"),
        "ec2:RegisterImage": _Making("image", "r.imageId", "r.imageId"),
    }
)
# There, CreateBucket succeeds for a bucket that the account has already (Amazon S3 API Reference,
# BucketAlreadyOwnedByYou): the event does not show that the bucket is new.
_MADE_AGAIN_IN = "us-east-1"


class _Link(NamedTuple):
    """A call with the key ``by`` that made or handed out ``key``."""

    key: str
    by: str
    at: str
    origin: str


class Attribution:
    """Judges each change by the finding: its access key, its addresses and its first event."""

    def __init__(
        self,
        principal: TargetContext,
        handed_out: Sequence[HandedOut],
        changes: Iterable[Change],
    ) -> None:
        """``changes``: all that are known of the principal, of every list."""
        known = list(changes)
        finding = principal.context.finding
        detail: FindingDetail = finding.detail if finding else {}
        self.key = identify.principal_of(principal).key
        self.addresses = _addresses(detail)
        self.first_event = _time(get(detail, "service", "eventFirstSeen"))
        links = [_Link(**handed) for handed in handed_out]
        self.keys = self._led_to([*links, *_created_keys(known)])
        self.made = made_by(change for change in known if not self.reason_to_leave(change))

    def knows_before(self, replaced: Collection[str]) -> bool:
        """Tells whether it is known that a call replaced nothing but the finding's own.

        ``replaced``: whose setting it may have replaced (``role/app``); empty: it replaced none.
        """
        return not replaced or not self.made.keys().isdisjoint(replaced)

    def _led_to(self, links: list[_Link]) -> set[str]:
        """Returns the finding's key and every key that a call of the finding's led to."""
        keys = {self.key} - {""}
        while True:
            more = {
                link.key
                for link in links
                if self._is_the_credential(keys, link.by, link.origin)
                and self._is_the_findings(link.origin, link.at)
            }
            if more <= keys:
                return keys
            keys |= more

    def _is_the_credential(self, keys: set[str], key: str, origin: str) -> bool:
        """Tells whether the call was made with one of the keys.

        A finding without a key, such as one about a console sign-in, has its address alone.
        """
        return key in keys or (not self.key and self._is_from_there(origin))

    def _is_the_findings(self, origin: str, at: str) -> bool:
        called = _time(at)
        begun = called and self.first_event and called >= self.first_event
        return bool(begun) or self._is_from_there(origin)

    def _is_from_there(self, origin: str) -> bool:
        return _address(origin) in self.addresses

    def reason_to_leave(self, change: Change) -> str:
        """Says why a person decides about the change, or returns empty."""
        if not self._is_the_credential(self.keys, change.access_key, change.origin):
            if not self.key:
                return "not undone: the finding names no access key, and it came from elsewhere"
            key = f"access key {change.access_key}" if change.access_key else "no access key"
            return f"not undone: called with {key}, which the finding's {self.key} did not lead to"
        if not self._is_the_findings(change.origin, change.at):
            return "not undone: before the finding's first event, and not from its address"
        return ""


def made_by(changes: Iterable[Change]) -> dict[str, set[str]]:
    """Returns what the calls made: ``role/app`` -> its unique IDs."""
    made: dict[str, set[str]] = {}
    for change in changes:
        making = _MAKING.get(change.key)
        if not making or (making.what == "bucket" and change.region == _MADE_AGAIN_IN):
            continue
        for id in filter(None, change.values(making.id)):
            name = id if making.name == making.id else change.value(making.name)
            made.setdefault(f"{making.what}/{name}", set()).add(id)
    return made


def _created_keys(changes: Iterable[Change]) -> list[_Link]:
    """Returns the access keys that were created, which work as long as nobody stops them."""
    return [
        _Link(
            key,
            change.access_key,
            change.at,
            change.origin,
        )
        for change in changes
        if change.key == "iam:CreateAccessKey"
        and (key := change.response_text("accessKey", "accessKeyId"))
    ]


def _addresses(detail: FindingDetail) -> set[str]:
    """Returns the addresses that the finding's activity came from."""
    action = get(detail, "service", "action")
    parts = action.values() if isinstance(action, dict) else []
    found = (
        text(get(part, "remoteIpDetails", field), 64)
        for part in parts
        for field in ("ipAddressV4", "ipAddressV6")
    )
    return {_address(address) for address in found if address}


def _address(written: str) -> str:
    """Returns an address in its one form: IPv6 has several. Other text stays as it is."""
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        return written


def _time(written: object) -> datetime | None:
    """Returns the time in whole seconds, as CloudTrail has them; None where it cannot be read."""
    try:
        read = datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return read.replace(tzinfo=read.tzinfo or UTC, microsecond=0)
