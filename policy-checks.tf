# Everything that can be wrong in the switches, as sentences. The precondition of effective_policy reports them
# together.

locals {
  scope_names = {
    for scope in keys(local.scopes) : scope => scope == "" ? "remediations" : "account_remediations[\"${scope}\"]"
  }

  unknown_keys = distinct(flatten([
    for scope, switches in local.scopes : [
      for key in keys(switches) : key if length(local.matches[key]) == 0 && !strcontains(key, "**")
    ]
  ]))

  # What an unknown key may mean: types for an exact key, families of types for a pattern.
  families = distinct([for type in local.type_names : "${split("/", type)[0]}/*"])
  resource_families = distinct([
    for type in local.type_names : "*:${split("/", split(":", type)[1])[0]}/*"
  ])
  suggestable = length(local.unknown_keys) == 0 ? {} : {
    type = local.type_names
    glob = concat(local.families, local.resource_families)
  }
  trigrams = {
    for text in distinct(concat(local.unknown_keys, flatten(values(local.suggestable)))) : text => toset([
      for i in range(max(1, length(text) - 2)) : lower(substr(text, i, 3))
    ])
  }
  suggestions = {
    for key in local.unknown_keys : key => [
      for scored in reverse(sort([
        for text in local.suggestable[strcontains(key, "*") ? "glob" : "type"] : format(
          "%04d %s",
          floor(1000 * length(setintersection(local.trigrams[key], local.trigrams[text])) / length(setunion(local.trigrams[key], local.trigrams[text]))),
          text,
        )
      ])) : split(" ", scored)[1] if !startswith(scored, "0000")
    ]
  }

  ties = {
    for tie in flatten([
      for scope, types in local.winners : [
        for type, cs in types : {
          scope = scope
          type  = type
          keys  = sort([for c in cs : "\"${c.key}\" = \"${c.mode}\""])
        } if length(distinct(cs[*].mode)) > 1
      ]
    ]) : "${tie.scope} ${join(" ", tie.keys)}" => tie...
  }

  policy_errors = concat(
    [
      for key in local.config_file_unknown_keys :
      "remediation_config_file: the key \"${key}\" is unknown; allowed are remediations and account_remediations."
    ],
    [
      for key in local.config_file_malformed :
      "remediation_config_file: ${key} must be a map of finding types (or globs) to modes${key == "remediations" ? "" : ", by account id"}."
    ],
    [
      for account in keys(local.account_remediations) :
      "account_remediations: \"${account}\" is not an account id; it must have 12 digits${can(regex("^[0-9]{1,11}$", account)) ? ". A number without quotation marks loses its leading zeros: write \"${format("%012d", tonumber(account))}\" with them" : " (in YAML, quote it)"}."
      if !can(regex("^[0-9]{12}$", account))
    ],
    flatten([
      for scope, switches in local.scopes : [
        for key, mode in switches :
        "${local.scope_names[scope]}: \"${key}\" has the unknown mode \"${coalesce(mode, "null")}\"; allowed are ${join(", ", local.modes)}."
        if !contains(local.modes, coalesce(mode, "null"))
      ]
    ]),
    flatten([
      for scope, switches in local.scopes : [
        for key in keys(switches) : "${local.scope_names[scope]}: \"${key}\" must not contain **; one * stands for any run of characters."
        if strcontains(key, "**")
      ]
    ]),
    flatten([
      for scope, switches in local.scopes : [
        for key in keys(switches) : format(
          "%s: \"%s\" matches no known finding type (case matters)%s. A type newer than the catalogue belongs in extra_finding_types.",
          local.scope_names[scope], key,
          length(local.suggestions[key]) == 0 ? "; catalogue/finding_types.json lists them" : "; the nearest are ${join(", ", slice(local.suggestions[key], 0, min(3, length(local.suggestions[key]))))}",
        ) if contains(local.unknown_keys, key)
      ]
    ]),
    flatten([
      for account, switches in local.account_remediations : [
        for key, mode in switches :
        "account_remediations[\"${account}\"]: \"${key}\" = \"${mode}\", but ${account} is management_account_id, where nothing acts and nothing is rehearsed; use notify or off, or leave management_account_id out."
        if contains(local.acting_modes, coalesce(mode, "null"))
      ] if account == local.management_account_id
    ]),
    [
      for ties in values(local.ties) :
      "${local.scope_names[ties[0].scope]}: ${join(" and ", ties[0].keys)} are equally literal and both match ${ties[0].type}; give that type a key of its own, or make one of them more literal."
    ],
  )
}

# Whoever applies this module must not be contained by it: then nobody could apply any more. A warning, not an error.
locals {
  applier      = data.aws_caller_identity.current.arn
  applier_name = try(regex(":assumed-role/([^/]+)/", local.applier)[0], try(regex(":(?:role|user)/(?:.*/)?([^/]+)$", local.applier)[0], ""))
}

check "applier_is_exempt" {
  assert {
    condition = local.applier_name == "" || !contains(local.playbooks_in_use, "iam_principal") || anytrue([
      for pattern in var.exempt_principals :
      length(regexall("^${join(".*", [for literal in split("*", pattern) : "\\Q${literal}\\E"])}$", "arn:${local.partition}:iam::${local.account_id}:role/${local.applier_name}")) > 0 ||
      endswith(pattern, "/${local.applier_name}")
    ])
    error_message = "${local.applier} applies this module and is not in exempt_principals: a finding about it would be contained like any other, and then it could not apply. Name it there, for example \"arn:${local.partition}:iam::*:role/${local.applier_name}\", with your break-glass roles."
  }
}

# A switch that can never act is a mistake that nobody notices. A warning, not an error: detection may change later.
locals {
  # Who configures the members elsewhere knows what is on there (guardduty_features); without a word of them, nothing
  # is said of plans that are off here.
  plan_statuses = merge(
    var.organization_id == null || try(local.guardduty.organization.manage, false) ? try(module.guardduty[0].features_in_use, {}) : {},
    var.guardduty_features,
  )
  # On-demand scans find malware without its plan, and EKS Runtime Monitoring has some types of Runtime Monitoring.
  plans_off = [
    for feature, status in local.plan_statuses : feature
    if status == "DISABLED" && feature != "EBS_MALWARE_PROTECTION" && !(feature == "RUNTIME_MONITORING" && try(local.plan_statuses["EKS_RUNTIME_MONITORING"], "") == "ENABLED")
  ]
  type_plans = { for type in local.type_names : type => try(local.catalogue[type].feature, "") } # "": none of its own
  never_raised = {
    for key in local.acting_keys : key => distinct([for type in local.matches[key] : local.type_plans[type]])
    if length(local.matches[key]) > 0 && alltrue([for type in local.matches[key] : contains(local.plans_off, local.type_plans[type])])
  }
  acting_types = [
    for type, policy in local.effective_policy : type
    if anytrue([for mode in concat([policy.mode], [for decision in values(policy.accounts) : decision.mode]) : contains(local.acting_modes, mode)])
  ]
  archived = flatten([
    for filter in try(local.guardduty.suppression_filters, []) : [
      for type in try(filter.criteria["type"]["equals"], []) : "${type} (filter ${filter.name})" if contains(local.acting_types, type)
    ] if try(join(" ", keys(filter.criteria)), "") == "type"
  ])
}

check "switches_can_fire" {
  assert {
    condition     = length(local.never_raised) == 0
    error_message = "GuardDuty raises nothing that these switches answer, because the protection plan is DISABLED: ${join("; ", [for key, features in local.never_raised : "\"${key}\" needs ${join(" and ", features)}"])}. Enable it in guardduty.detector.features (guardduty.organization.features for members; where GuardDuty is managed elsewhere, there and in guardduty_features), or set the switch to notify."
  }
  assert {
    condition     = length(local.archived) == 0
    error_message = "guardduty.suppression_filters archive what remediations answer, so nothing will be answered: ${join(", ", local.archived)}. Take the type out of the filter, or narrow the filter by another criterion, or set the switch to off."
  }
}

# A response that nobody hears of is answered by nobody. A warning, not an error: others may subscribe to the topic.
check "somebody_is_subscribed" {
  assert {
    condition     = !var.create || !local.notifications_settings.create_topic || length(local.notifications_settings.email_addresses) > 0 || local.notifications_settings.expected_subscriptions != null
    error_message = "This module subscribes nobody to its topic ${var.name_prefix}-notifications: nobody hears of a finding. Name notifications.email_addresses. If others subscribe, say how many with notifications.expected_subscriptions (0: the topic is not looked at)."
  }
}

# What lies in the same account is lost with it. A warning, not an error.
check "evidence_replica_is_elsewhere" {
  assert {
    condition     = local.evidence_settings.replica == null ? true : local.evidence_settings.replica.account_id != local.account_id
    error_message = "evidence.replica is in ${local.account_id}, the account of the evidence bucket: who can delete the evidence there can delete its replicas. Use a bucket of another account (modules/forensics-account)."
  }
}
