"""Lists the calls that can undo a containment, for event rules (modules/event-patterns)."""

from __future__ import annotations

from collections.abc import Iterable

from guardduty_response.containment.control import AnyControl

from generator.layout import render

# botocore's name of a service -> the source of its events, where it is another.
SOURCES = {"elbv2": "aws.elasticloadbalancing"}


def undoing_calls(controls: Iterable[type[AnyControl]]) -> str:
    """Returns the file's text: source -> names of events."""
    calls: dict[str, set[str]] = {}
    for control in controls:
        if control.undone_by and not control.label:
            source = SOURCES.get(control.service, f"aws.{control.service}")
            calls.setdefault(source, set()).update(control.undone_by)
    listed = {source: sorted(names) for source, names in sorted(calls.items())}
    return render(listed, expand=True) + "\n"
