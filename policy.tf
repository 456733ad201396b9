# From the switches to a mode for every known finding type. The functions decide by the same rules from the same maps
# (the config document below); this file checks the maps at plan time and shows the result in effective_policy.

locals {
  modes        = ["off", "notify", "dry_run", "approve", "auto"]
  acting_modes = ["dry_run", "approve", "auto"]

  catalogue = jsondecode(file("${path.module}/catalogue/finding_types.json"))

  # resource type => what the manifests answer of it
  answers = {
    for answer in flatten([
      for name, manifest in local.manifests : [
        for answer in manifest.answers : {
          resource_type = answer.resource_type
          playbook      = name
          not_types = [
            for key in flatten([
              # What is left alone for its type alone; all else is decided about each finding.
              for exception in try(answer.unless, []) : [for condition in exception.when : try(condition.type, []) if length(condition) == 1]
            ]) : "^${join(".*", [for literal in split("*", key) : "\\Q${literal}\\E"])}$"
          ]
        }
      ]
    ]) : answer.resource_type => answer...
  }
  catalogue_playbooks = {
    for type, entry in local.catalogue : type => flatten([
      for resource in entry.resource_type : [
        for answer in try(local.answers[resource], []) : answer.playbook
        if !anytrue([for regex in answer.not_types : length(regexall(regex, type)) > 0])
      ]
    ])
  }
  # What a finding names decides at run time. Where that is not documented, the family of the type says what it may
  # be.
  family_playbooks = {
    for word, playbooks in {
      for type, playbooks in local.catalogue_playbooks : split("/", split(":", type)[1])[0] => playbooks[0]... if length(playbooks) > 0
    } : word => playbooks[0]
  }
  # A type whose family says nothing either is one of a custom detection rule: those look at API calls, so the finding
  # names the credential.
  credential_playbooks = {
    for type in concat(var.extra_finding_types, [for type, entry in local.catalogue : type if length(entry.resource_type) == 0]) : type => one(slice(concat([
      for answer in try(local.answers["AccessKey"], []) : answer.playbook
      if !anytrue([for regex in answer.not_types : length(regexall(regex, type)) > 0])
    ], [null]), 0, 1))
  }
  type_resources = merge(
    { for type in var.extra_finding_types : type => [] },
    { for type, entry in local.catalogue : type => entry.resource_type },
  )
  type_playbooks = {
    for type, resources in local.type_resources : type => try(
      length(resources) == 0 ? lookup(local.family_playbooks, split("/", split(":", type)[1])[0], local.credential_playbooks[type]) : local.catalogue_playbooks[type][0],
      null,
    )
  }
  # Playbooks that hand an incident over to another playbook: the instance whose credentials were stolen.
  hand_overs = flatten([
    for name, manifest in local.manifests : [
      for other in try(manifest.hands_over, []) : [
        for key in other.finding_types : { from = name, to = other.playbook, regex = "^${join(".*", [for literal in split("*", key) : "\\Q${literal}\\E"])}$" }
      ]
    ]
  ])
  type_also = {
    for type, playbook in local.type_playbooks : type => playbook == null ? [] : [
      for hand_over in local.hand_overs : hand_over.to if hand_over.from == playbook && length(regexall(hand_over.regex, type)) > 0
    ]
  }
  type_names = keys(local.type_playbooks)

  # playbook => acting mode => that mode, or the next milder one that the playbook supports. "" is no playbook.
  supported_modes = {
    for name, supported in merge({ "" = [] }, { for name, manifest in local.manifests : name => manifest.modes }) : name => {
      for index, asked in local.modes : asked => reverse([
        for mode in slice(local.modes, 0, index + 1) : mode if !contains(local.acting_modes, mode) || contains(supported, mode)
      ])[0] if contains(local.acting_modes, asked)
    }
  }

  # --- the file -------------------------------------------------------------------------------------------------------
  config_file = var.remediation_config_file == null ? null : yamldecode(file(var.remediation_config_file))
  config_file_unknown_keys = [
    for key in try(keys(local.config_file), []) : key if !contains(["remediations", "account_remediations"], key)
  ]
  config_file_malformed = [
    for key, well_formed in {
      remediations = try(local.config_file.remediations, null) == null || (
        can(keys(local.config_file.remediations)) && can({ for k, m in local.config_file.remediations : k => tostring(m) })
      )
      account_remediations = try(local.config_file.account_remediations, null) == null || (
        can(keys(local.config_file.account_remediations)) &&
        can({ for a, ms in local.config_file.account_remediations : a => [keys(ms), { for k, m in ms : k => tostring(m) }] })
      )
    } : key if !well_formed
  ]
  # YAML 1.1 reads a bare off as false.
  file_remediations = {
    for key, mode in try({ for k, m in local.config_file.remediations : k => tostring(m) }, {}) :
    key => mode == "false" ? "off" : mode
    if !contains(local.config_file_malformed, "remediations")
  }
  file_account_remediations = {
    for account, switches in try({ for a, ms in local.config_file.account_remediations : a => { for k, m in ms : k => tostring(m) } }, {}) :
    account => { for key, mode in switches : key => mode == "false" ? "off" : mode }
    if !contains(local.config_file_malformed, "account_remediations")
  }

  remediations = merge(local.file_remediations, var.remediations)
  account_remediations = {
    for account in setunion(keys(local.file_account_remediations), keys(var.account_remediations)) :
    account => merge(lookup(local.file_account_remediations, account, {}), lookup(var.account_remediations, account, {}))
  }

  # --- matching -------------------------------------------------------------------------------------------------------
  # There is one list of scopes, and "" is the scope of all accounts, so that every rule below is written once. A key
  # is matched against the types once, however many accounts use it.
  scopes   = merge({ for account, switches in local.account_remediations : account => switches }, { "" = local.remediations })
  all_keys = distinct(flatten([for scope, switches in local.scopes : keys(switches)]))
  key_regex = {
    for key in local.all_keys : key => "^${join(".*", [for literal in split("*", key) : "\\Q${literal}\\E"])}$"
    if strcontains(key, "*") && !strcontains(key, "**") && !strcontains(key, "\\")
  }
  matches = {
    for key in local.all_keys : key => contains(keys(local.key_regex), key) ? [
      for type in local.type_names : type if length(regexall(local.key_regex[key], type)) > 0
    ] : [for type in [key] : type if contains(local.type_names, type)]
  }

  # scope => type => the keys that match it. An exact key wins over any pattern.
  candidates = {
    for scope, switches in local.scopes : scope => {
      for c in flatten([
        for key, mode in switches : [
          for type in local.matches[key] : {
            type   = type
            key    = key
            mode   = mode
            weight = strcontains(key, "*") ? length(replace(key, "*", "")) : 1000000
          }
        ]
      ]) : c.type => c...
    }
  }
  winners = {
    for scope, types in local.candidates : scope => {
      for type, cs in types : type => [for c in cs : c if c.weight == max(cs[*].weight...)]
    }
  }
  # type => its decisions, one for each scope that has a key for it.
  decisions = {
    for type in local.type_names : type => [
      for scope, types in local.winners : {
        scope = scope
        key   = sort(types[type][*].key)[0]
        asked = types[type][0].mode
        mode  = try(local.supported_modes[local.type_playbooks[type] == null ? "" : local.type_playbooks[type]][types[type][0].mode], types[type][0].mode)
      } if can(types[type])
    ]
  }

  # What would change resources in the management account. The guardrail allows none of it, not even dry_run.
  management_account_id = var.management_account_id
  held_in_management = {
    for type, decisions in local.decisions : type => [
      for d in slice(concat(
        [for d in decisions : d if d.scope == local.management_account_id],
        [for d in decisions : d if d.scope == ""],
        [null],
      ), 0, 1) : d if try(contains(local.acting_modes, d.mode), false)
    ] if local.management_account_id != null
  }

  effective_policy = {
    for type in local.type_names : type => {
      mode     = try([for d in local.decisions[type] : d.mode if d.scope == ""][0], "notify")
      key      = try([for d in local.decisions[type] : d.key if d.scope == ""][0], null)
      scope    = anytrue([for d in local.decisions[type] : d.scope == ""]) ? "global" : "default"
      playbook = local.type_playbooks[type]
      accounts = merge(
        { for d in local.decisions[type] : d.scope => { mode = d.mode, key = d.key } if d.scope != "" },
        { for d in try(local.held_in_management[type], []) : local.management_account_id => { mode = "notify", key = d.key } },
      )
      note = one(slice(concat(
        [
          for d in local.decisions[type] :
          "${d.asked} was asked for${d.scope == "" ? "" : " in account ${d.scope}"}, but no playbook answers this type yet: people are told."
          if d.asked != d.mode && local.type_playbooks[type] == null
        ],
        [
          for d in local.decisions[type] :
          "${d.asked} was asked for${d.scope == "" ? "" : " in account ${d.scope}"}, but ${local.type_playbooks[type]} supports ${join(", ", local.manifests[local.type_playbooks[type]].modes)} only: ${d.mode}."
          if d.asked != d.mode && local.type_playbooks[type] != null
        ],
        [
          for d in local.decisions[type] :
          "Acts where the finding names a resource that ${local.type_playbooks[type]} answers; otherwise people are told."
          if length(local.type_resources[type]) != 1 && contains(local.acting_modes, d.mode)
        ],
        [
          for d in local.decisions[type] :
          "Where the finding shows whose they are, also hands over to ${join(", ", local.type_also[type])}."
          if length(local.type_also[type]) > 0 && contains(local.acting_modes, d.mode)
        ],
        [
          for d in try(local.held_in_management[type], []) :
          "Nothing acts in account ${local.management_account_id}, the organization's management account: people are told."
        ],
        [null],
      ), 0, 1))
    }
  }

  # For people: what is not only notified, one line for each type. Accounts with equal decisions are together, and three
  # of them are named.
  differing_accounts = {
    for type, policy in local.effective_policy : type => {
      for account, decision in policy.accounts : decision.mode => account... if decision.mode != policy.mode
    }
  }
  policy_summary = {
    for type, policy in local.effective_policy : type => join("", [
      policy.mode,
      policy.key == null ? "" : " by ${policy.key}",
      join("", [
        for mode, accounts in local.differing_accounts[type] :
        "; ${mode} in ${length(accounts) > 3 ? "${length(accounts)} accounts (${join(", ", slice(accounts, 0, 3))} …)" : join(" and ", accounts)}"
      ]),
      policy.note == null ? "" : ". ${policy.note}",
    ]) if policy.mode != "notify" || policy.note != null || length(local.differing_accounts[type]) > 0
  }

  # --- what acts ------------------------------------------------------------------------------------------------------
  # By key rather than by type, because a pattern also answers types that GuardDuty adds later.
  acting_keys = distinct(flatten([
    for scope, switches in local.scopes : [for key, mode in switches : key if contains(local.acting_modes, mode)]
  ]))
  # Also all playbooks that answer one of the resources which a type may name: the finding decides between them.
  playbooks_in_use = toset([
    for playbook in flatten([for key in local.acting_keys : [for type in local.matches[key] : [local.type_playbooks[type], local.type_also[type], lookup(local.catalogue_playbooks, type, [])]]]) :
    playbook if playbook != null
  ])
  # Every acting key, also one whose known types have no playbook. A type that GuardDuty adds later may have one, and
  # then the notice state machine leaves it to the rule for acting types.
  rule_keys = length(local.playbooks_in_use) == 0 ? [] : sort(local.acting_keys)
}
