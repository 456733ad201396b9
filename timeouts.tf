# How long an execution of the state machine "incident" may take: the sum of the longest time of
# each of its parts, so that no part is cut short. All values are seconds. The limits of the
# functions themselves are in the files named here; a test compares them.

locals {
  incident_timeouts = {
    # A person who is asked (approval_timeout_minutes), and asked again at its end, 15 minutes each time, since the plan
    # changed or the answer named another plan: four times (incident/approval.py).
    approval = (var.approval_timeout_minutes + 4 * 15) * 60
    # Forensics for which containment waits (evidence/forensics.py).
    before_containment = local.forensics_settings.when == "before" ? max(local.forensics_settings.deadline_seconds, values(local.forensics_settings.deadlines)...) : 0
    # Throttled starts and attempts of every phase: open, triage, contain, verify, collect, eradicate,
    # finish, report, and of what is handed over once more. Each is tried for at least 15 minutes.
    attempts = 9 * 15 * 60
    # The snapshot set: snapshot limits that must clear, then all snapshots pending
    # (evidence/snapshots.py).
    snapshots = 600 + 6 * 3600
    # Forensics and replacements are collected beside the snapshots, but may begin after them.
    collection  = local.forensics_settings.when == "off" ? 0 : 300 + local.forensics_settings.timeout_minutes * 60
    replacement = local.playbook_options.ec2_instance.replacement_wait_minutes * 60
    # Copies in the member account and in the forensics account (evidence/copies.py).
    copies = local.evidence_settings.forensics_account == null ? 0 : 24 * 3600
    # Asking S3 whether the objects are replicated, after the manifest (evidence/replication.py), and one more look.
    replication = local.evidence_settings.replica == null ? 0 : 15 * 60 + 120
    # Reading logs and trails. No single limit exists for all of it; six hours are enough for the lists
    # of a busy account. A query by itself gives up after half an hour, and late events arrive a
    # quarter of an hour later (iam_principal/evidence/trail_queries.py, cloudtrail/query.py).
    evidence = 6 * 3600
    # The second pass over CloudTrail, and the queries that it makes (iam_principal/late_events.py, ec2_instance/late_look.py).
    second_pass = local.repeat_minutes * 60 + 30 * 60 + 15 * 60
    # Eradication, after the first list and after the second (eradicate/run.py).
    eradication = 2 * 3600
    # 40 attempts, 15 s apart, until an instance is stopped or terminated (finish.py, terminate.py).
    # Each may take as long as its function.
    finish = 2 * 40 * (15 + 120)
  }
  repeat_minutes = max([for options in values(local.playbook_options) : try(options.repeat_minutes, 0)]...)
  # Step Functions takes whole seconds.
  incident_timeout_seconds = ceil(sum(values(local.incident_timeouts)))
}
