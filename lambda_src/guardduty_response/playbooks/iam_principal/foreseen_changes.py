"""Looks up, for people who are asked, what eradication would undo by itself and what it would list.

The plan itself does not wait for it: a containment in mode auto begins without this look-up.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from guardduty_response.cloudtrail import query, regions
from guardduty_response.containment.target_context import AWS_ERRORS, describe_error
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

SECONDS = 12  # for each Region; sixteen are asked at once


def look_up(principal: PrincipalContext) -> dict[str, str]:
    """Returns sentences by the names of lines of the action log: what is undone, what is listed for
    people, and what the lists lack. What the principal's sessions did is not looked up.
    """
    # Only who is asked about it waits for these imports.
    from guardduty_response.playbooks.iam_principal import condense, foreseen
    from guardduty_response.playbooks.iam_principal.attribution import Attribution
    from guardduty_response.playbooks.iam_principal.ownership import Ownership
    from guardduty_response.playbooks.iam_principal.reversals.changes import parse

    ownership = Ownership.of(principal)
    attributes = ownership.lookup_attributes()
    if not attributes:
        return {"remediation_unknown": "the finding names no key and no name to look calls up by"}
    start = datetime.now(UTC) - timedelta(hours=float(principal.options["lookup_hours"]))
    try:
        session = regions.lookup_session(principal)
        names, remark = regions.enabled(principal, session)
        records, troubles = regions.look_up(session, names, attributes, start, SECONDS)
    except AWS_ERRORS as error:
        command = query.lookup_command(attributes[0], principal.target.region)
        text = f"what it did could not be listed ({describe_error(error)}): {command}"
        return {"remediation_unknown": text}
    unknown = [f"{name} not looked at to its end ({why})" for name, why in troubles.items()]
    by_id = {
        change.id: change
        for record in records
        if ownership.made(record, set()) and condense.mutating(record)
        if (change := parse(condense.change(record)))
    }
    newest_first = sorted(by_id.values(), key=lambda change: (change.at, change.id), reverse=True)
    attribution = Attribution(principal, [], newest_first)
    said = foreseen.foresee(newest_first, attribution, principal.options["remediate"]).sentences()
    if not said:
        said["remediation_undoes"] = "CloudTrail shows no change by it so far"
    unknown += [remark] * bool(remark)
    unknown.append("what CloudTrail shows later, and what its sessions did, is dealt with alike")
    return {**said, "remediation_unknown": "; ".join(unknown)}
