"""The shapes of what the evidence item ``config_history`` keeps between calls, and why a resource
has no history.
"""

from __future__ import annotations

from typing import TypedDict

from guardduty_response.evidence.config_recorders import Recording

# Why a resource has no history in a Region, beside descriptions of errors.
NO_RECORDER = "NoAvailableConfigurationRecorderException"
NOT_DISCOVERED = "ResourceNotDiscoveredException"
EMPTY = "no configuration item"
ABSENT = frozenset({NO_RECORDER, NOT_DISCOVERED, EMPTY})


class ResourceHistory(TypedDict, total=False):
    """A resource, and how far its history was read; kept between calls.

    ``id``: AWS Config's. ``regions``: those to be asked, in turn; the first is being asked.
    ``region``: which one answered. ``refused``: Region -> why it has no history. ``before``:
    whether the item from before the range is being looked for. ``token``, ``pages``: of that.
    ``items``: how many were read. ``left``: why there is more. ``done``: nothing is left to ask.
    """

    type: str
    id: str
    regions: list[str]
    region: str
    refused: dict[str, str]
    before: bool
    token: str
    pages: int
    items: int
    left: str
    done: bool


class Gap(TypedDict):
    """Something that is not in the history: of which resource (or empty), why, and the command that
    reads it (or empty).
    """

    of: str
    why: str
    command: str


class ConfigHistoryState(TypedDict, total=False):
    """What the evidence item ``config_history`` keeps between calls.

    ``window``: the time range. ``recordings``: Region -> what its recorder does. ``unknown``: what
    else is not known of the resources. ``scope``: what was asked where, for people. ``remark``: why
    other Regions were not asked. ``denied``: Region -> why every resource is refused there.
    ``files``, ``bytes``, ``pages``: how many there are of all resources.
    """

    window: list[int]
    resources: list[ResourceHistory]
    recordings: dict[str, Recording]
    unknown: list[Gap]
    scope: str
    remark: str
    denied: dict[str, str]
    files: int
    bytes: int
    pages: int
