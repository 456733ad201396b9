"""Tells why a check failed, by what the action log says of its control: perhaps it was only made
too early, or AWS refused something because of too many requests.

EC2, IAM and Auto Scaling may show a change seconds later (EC2 Developer Guide, "Eventual
consistency in the Amazon EC2 API"; IAM User Guide, "Changes that I make are not always immediately
visible").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import describes_transient
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    SKIPPED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardduty_response.containment.contract import Check
    from guardduty_response.containment.control import AnyControl
    from guardduty_response.containment.target_context import TargetContext


def check_controls(controls: Iterable[AnyControl], acts: bool) -> list[Check]:
    """Returns the checks of controls that have read their settings; a label has none.

    ``acts``: whether this incident contains the target itself. The action log is corrected then.
    """
    checks: list[Check] = []
    for control in controls:
        found = control.checks()
        if acts and all(check.ok for check in found):
            control.correct_log()
        if not control.label:
            checks += found
    return checks


class LateChecks:
    """Compares checks with the action log of their target. A check has the name of its action, or
    begins with the ``check_name`` of one of ``controls``.
    """

    def __init__(self, target_context: TargetContext, controls: Iterable[AnyControl] = ()) -> None:
        self.target_context = target_context
        self.controls = {control.check_name or control.name: control for control in controls}

    def is_not_seen(self, check: Check) -> bool:
        """Tells whether what a check misses was done: it is seen too early, AWS has not applied it
        yet, or it was undone.
        """
        kind, _, value = check.name.partition(" ")
        control = self.controls.get(kind)
        recorded = control.recorded if control else None
        if value and recorded and value not in recorded:
            return False  # it came since
        return self._logged(check).get("status") == DONE

    def was_not_needed(self, check: Check) -> bool:
        """Tells whether containing saw nothing to do for what a check misses: it read too early, or
        somebody changed it since.
        """
        return check.read and self._logged(check).get("status") in (ALREADY, SKIPPED)

    def was_throttled(self, check: Check) -> bool:
        """Tells whether the action that a check is about failed of an error that passes: one that
        always does, or one that its control knows of its own calls.
        """
        logged = self._logged(check)
        detail = str(logged.get("detail"))
        control = self.controls.get(check.name.partition(" ")[0])
        codes = control.passing_errors if control else ()
        passes = describes_transient(detail) or any(f"({code}:" in detail for code in codes)
        return logged.get("status") == FAILED and passes

    def _logged(self, check: Check) -> Mapping[str, str]:
        control = self.controls.get(check.name.partition(" ")[0])
        return self.target_context.logged_action(control.name if control else check.name)


def throttled_seconds(attempt: int, at_most: int) -> int:
    """Returns the seconds until what AWS throttled is asked for again, ever more slowly: many
    resources at once meet its limits together. ``attempt`` counts from 1.
    """
    return min(2 * attempt, at_most)


def read_was_throttled(check: Check) -> bool:
    """Tells whether a check could not read what it is about because of an error that passes."""
    return not check.read and describes_transient(check.detail)
