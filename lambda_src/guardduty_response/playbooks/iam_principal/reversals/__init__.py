"""The reversals of what a principal did to other resources, which eradication makes and restore
takes back: each kind of change is declared once. ``reversal.py`` has what they share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from guardduty_response.containment.contract import NOTHING
from guardduty_response.containment.control import actions_of
from guardduty_response.containment.target_context import TargetContext, allow
from guardduty_response.playbooks.iam_principal.reversals.buckets import Bucket
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.compute import Function, Instances
from guardduty_response.playbooks.iam_principal.reversals.exposure import Rules, Sharing
from guardduty_response.playbooks.iam_principal.reversals.grants import (
    Attached,
    Inline,
    Member,
    Trust,
)
from guardduty_response.playbooks.iam_principal.reversals.identities import (
    AccessKey,
    LoginProfile,
    Role,
    User,
)
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    AnyReversal,
    RegionSessions,
    ReversalRecord,
)
from guardduty_response.playbooks.iam_principal.reversals.visibility import Detector, Trail

KINDS: tuple[type[AnyReversal], ...] = (
    AccessKey,
    User,
    LoginProfile,
    Role,
    Attached,
    Inline,
    Member,
    Trust,
    Instances,
    Function,
    Rules,
    Sharing,
    Bucket,
    Trail,
    Detector,
)
READS = actions_of(grant for kind in KINDS for grant in kind.reads)


class Reversals:
    """Makes reversals of one principal, which share a session that reads in each Region."""

    def __init__(
        self, principal: TargetContext, made: Mapping[str, Collection[str]] = NOTHING
    ) -> None:
        """``made``: ``role/app`` -> the unique IDs of what calls of the finding made."""
        self.principal = principal
        self.made = made
        self.readers: dict[str, RegionSessions] = {}

    def of(
        self, kind: type[AnyReversal], item: str, source: ReversalRecord | Change
    ) -> AnyReversal:
        """Returns the reversal of a change, or of a record; ``item`` is the record's key."""
        region = source.get("region") if isinstance(source, dict) else source.region
        name = str(region or self.principal.target.region)
        if name not in self.readers:
            self.readers[name] = RegionSessions(self.principal, name, allow(READS))
        reversal = kind(self.principal, self.readers[name], item, source)
        if not isinstance(source, dict):
            names = kind.replaced(source)
            reversal.made = {id for name in names for id in self.made.get(name, ())}
        return reversal
