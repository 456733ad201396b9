"""The collector function: forensics and evidence of one playbook. It can assume only its own collector role."""

from __future__ import annotations

import os

from guardduty_response import config, runtime
from guardduty_response.errors import ResponseError
from guardduty_response.handlers import verbs
from guardduty_response.playbooks import Context, Json, Step, Target, load_collector


def _first(event: Json) -> Json:
    """Before containment, under the machine's deadline: containment goes on when it passes, whatever is answered here."""
    context, target = verbs.context(event), Target(**event["target"])
    if target.attach or target.verify_only:
        return Step(detail="evidence belongs to the incident that contained the resource").payload()
    verbs.renew(context, target)
    return load_collector(os.environ["GDR_PLAYBOOK"]).first(context, target, int(event["seconds_left"])).payload()


def _evidence(event: Json) -> Json:
    """Beside containment: starts what takes long and needs nothing of it."""
    context, target = verbs.context(event), Target(**event["target"])
    if target.attach or target.verify_only:
        return Step(detail="evidence belongs to the incident that contained the resource").payload()
    verbs.renew(context, target)
    return load_collector(os.environ["GDR_PLAYBOOK"]).evidence(context, target).payload()


def _collect(event: Json) -> Json:
    """After the verdict: everything to its end. What comes then is the playbook's option ``finish``."""
    collector = load_collector(os.environ["GDR_PLAYBOOK"])

    def work(context: Context, target: Target, _meta: Json) -> Step:
        return collector.collect(context, target)

    finish = config.load().playbooks[os.environ["GDR_PLAYBOOK"]].get("finish", "none")
    return verbs.phase(event, work, {"none": "close", "terminate": "terminate"}.get(finish, "finish"))


VERBS = {"first": _first, "evidence": _evidence, "collect": _collect}


def _work(event: Json) -> Json:
    verb = VERBS.get(event.get("verb", ""))
    if verb is None:
        raise ResponseError(f"the collector function knows no verb {event.get('verb')!r}; it knows {', '.join(VERBS)}")
    return verb(event)


handler = runtime.entry(_work)
