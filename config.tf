# The config document the functions read, and the pattern of rule 1.

locals {
  config = {
    version          = 1
    name_prefix      = var.name_prefix
    partition        = local.partition
    security_account = local.account_id
    paused           = var.paused

    remediations         = local.remediations
    account_remediations = local.account_remediations
    minimum_severity     = var.minimum_severity
    playbooks            = var.playbooks
    active_playbooks     = sort(tolist(local.playbooks_in_use))
    guardrails           = var.guardrails
    notifications        = { runbook_url = var.notifications.runbook_url, siem_search_url = var.notifications.siem_search_url }
    evidence             = { log_window_minutes = var.evidence.log_window_minutes, forensics_account = var.evidence.forensics_account }
    # The commands are in the SSM document. Their number says whether there are any.
    forensics = {
      when                   = var.forensics.when
      deadline_seconds       = var.forensics.deadline_seconds
      deadlines              = var.forensics.deadlines
      timeout_minutes        = var.forensics.timeout_minutes
      packet_capture_seconds = var.forensics.packet_capture_seconds
      memory                 = var.forensics.memory
      commands               = { for platform, lines in var.forensics.commands : platform => length(lines) }
    }
    responder = {
      role_path          = var.iam.path
      quarantine_profile = "${var.name_prefix}-quarantine"
      # "<account or *>:role/<path>/<name>" of what functions assume. A name that nothing uses is anybody's, and spares nobody.
      own_roles = sort(concat(
        [for what in values(local.functions) : "*:role${var.iam.path}${var.name_prefix}-${local.jobs[what.job].member_role}-${replace(what.playbook, "_", "-")}"],
        [for key, role in local.identity_center_roles : "${local.identity_center.account_id}:role/${role}" if contains(keys(local.functions), key)],
        [for account in [var.evidence.forensics_account] : "${account.account_id}:role${var.iam.path}${account.copy_role_name}" if try(account.copy_role_name, null) != null],
      ))
    }
  }
  config_json   = jsonencode(local.config)
  config_sha256 = sha256(local.config_json)

  # Rule 1, from the narrowest filter to none: the keys themselves, *:<Resource>/* for each, everything. EventBridge takes
  # 2,048 characters; the machine applies the policy again, so a wider rule costs executions, never a wrong action.
  family_keys = distinct([
    for key in local.rule_keys : try("*:${regex("^[^:]*:([^/*]+)/", key)[0]}/*", key)
  ])
  pattern_regex = {
    for key in distinct(concat(local.rule_keys, local.family_keys)) :
    key => "^${join(".*", [for literal in split("*", key) : "\\Q${literal}\\E"])}$" if strcontains(key, "*")
  }
  # A key that another one covers adds nothing. (* inside a key only matches * of the other: a sound test.) Only globs cover, and
  # each list's are picked once: this is what a plan of many exact keys would spend its time on.
  pattern_lists = [local.rule_keys, local.family_keys]
  pattern_globs = [for keys in local.pattern_lists : [for key in keys : key if strcontains(key, "*")]]
  pattern_keys = [
    for i, keys in local.pattern_lists : [
      for key in keys : key
      if !anytrue([for wider in local.pattern_globs[i] : wider != key && length(regexall(local.pattern_regex[wider], key)) > 0])
    ]
  ]
  pattern_filters = concat(
    [
      for keys in local.pattern_keys : [
        for key in keys : (
          !strcontains(key, "*") ? jsonencode(key) :
          length(split("*", key)) == 2 && endswith(key, "*") ? jsonencode({ prefix = trimsuffix(key, "*") }) :
          jsonencode({ wildcard = key })
        )
      ] if !contains(keys, "*")
    ],
    [[]],
  )
  patterns = [
    for filter in local.pattern_filters : format(
      "{\"source\":[\"aws.guardduty\"],\"detail-type\":[\"GuardDuty Finding\"],\"detail\":{\"service\":{\"archived\":[false,\"false\",{\"exists\":false}]}%s}}",
      length(filter) == 0 ? "" : ",\"type\":[${join(",", filter)}]",
    )
  ]
  act_pattern = length(local.rule_keys) == 0 ? null : [for pattern in local.patterns : pattern if length(pattern) < 2048][0]
}
