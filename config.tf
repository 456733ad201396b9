# The config document the functions read, and the pattern of the rule `act`.

locals {
  config = {
    version          = 1
    name_prefix      = var.name_prefix
    partition        = local.partition
    security_account = local.account_id
    paused           = var.paused

    # For cli/effective_policy.py, which lists the types that are known. Functions decide about any type.
    extra_finding_types = sort(var.extra_finding_types)

    remediations         = local.remediations
    account_remediations = local.account_remediations
    minimum_severity     = var.minimum_severity
    playbooks            = local.playbook_options
    active_playbooks     = sort(tolist(local.playbooks_in_use))
    guardrails           = local.guardrails
    notifications        = { runbook_url = local.notifications_settings.runbook_url, siem_search_url = local.notifications_settings.siem_search_url }
    evidence = {
      log_window_minutes = local.evidence_settings.log_window_minutes
      forensics_account  = local.evidence_settings.forensics_account
      replica            = local.evidence_settings.replica == null ? null : { bucket_arn = local.evidence_settings.replica.bucket_arn, account_id = local.evidence_settings.replica.account_id }
    }
    # The commands are in the SSM document. Their number says whether there are any.
    forensics = {
      when                   = local.forensics_settings.when
      deadline_seconds       = local.forensics_settings.deadline_seconds
      deadlines              = local.forensics_settings.deadlines
      timeout_minutes        = local.forensics_settings.timeout_minutes
      packet_capture_seconds = local.forensics_settings.packet_capture_seconds
      memory                 = local.forensics_settings.memory
      commands               = { for platform, lines in local.forensics_settings.commands : platform => length(lines) }
    }
    responder = {
      role_path          = local.iam_settings.path
      quarantine_profile = "${var.name_prefix}-quarantine"
      # "<account or *>:role/<path>/<name>" of what functions assume. A name that nothing uses is anybody's, and spares nobody.
      own_roles = sort(concat(
        [for what in values(local.functions) : "*:role${local.iam_settings.path}${var.name_prefix}-${local.jobs[what.job].member_role}-${replace(what.playbook, "_", "-")}"],
        [for key, role in local.identity_center_roles : "${local.identity_center.account_id}:role/${role}" if contains(keys(local.functions), key)],
        [for account in [local.evidence_settings.forensics_account] : "${account.account_id}:role${local.iam_settings.path}${account.copy_role_name}" if try(account.copy_role_name, null) != null],
      ))
    }
  }
  config_json   = jsonencode(local.config)
  config_sha256 = sha256(local.config_json)

  # The rule `act` takes exact types and prefixes, or every finding. It never has a wildcard: EventBridge
  # refuses patterns beyond a complexity that it does not document ("Rule is too complex"), and a
  # refused rule would leave the acting types unanswered. The machine applies the policy again, so
  # a wider rule costs executions and never causes a wrong action (docs/decisions/0012).
  pattern_format = "{\"source\":[\"aws.guardduty\"],\"detail-type\":[\"GuardDuty Finding\"],\"detail\":{\"service\":{\"archived\":[false,\"false\",{\"exists\":false}]}%s}}"
  pattern_regex = {
    for key in local.rule_keys :
    key => "^${join(".*", [for literal in split("*", key) : "\\Q${literal}\\E"])}$" if strcontains(key, "*")
  }
  # A key that another one covers adds nothing, and would start a second execution where the types
  # take several rules. (* inside a key only matches * of the other, so the test is sound.) Only
  # globs cover, and they are picked once: a plan of many exact keys would spend its time on this.
  pattern_globs = [for key in local.rule_keys : key if strcontains(key, "*")]
  pattern_keys = [
    for key in local.rule_keys : key
    if !anytrue([for wider in local.pattern_globs : wider != key && length(regexall(local.pattern_regex[wider], key)) > 0])
  ]
  # A trailing * is a prefix. Any other glob needs every finding.
  pattern_filters = anytrue([for key in local.pattern_keys : strcontains(trimsuffix(key, "*"), "*") || key == "*"]) ? [] : [
    for key in local.pattern_keys : endswith(key, "*") ? jsonencode({ prefix = trimsuffix(key, "*") }) : jsonencode(key)
  ]
  # EventBridge takes fewer than 2,048 characters in a pattern. Up to ten rules share the filters;
  # beyond that, one rule takes every finding.
  pattern_room  = 2047 - length(format(local.pattern_format, ",\"type\":[]"))
  pattern_size  = max(1, floor(local.pattern_room / max(1, [for filter in local.pattern_filters : length(filter) + 1]...)))
  pattern_parts = length(local.pattern_filters) == 0 ? [] : chunklist(local.pattern_filters, local.pattern_size)
  act_patterns = length(local.rule_keys) == 0 ? [] : (
    length(local.pattern_parts) == 0 || length(local.pattern_parts) > 10
    ? [format(local.pattern_format, "")]
    : [for filters in local.pattern_parts : format(local.pattern_format, ",\"type\":[${join(",", filters)}]")]
  )
}
