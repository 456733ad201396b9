# From the switches to modes, the pattern of the rule act, and what fails the plan.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "precedence" {
  command = plan

  variables {
    remediation_config_file = "tests/terraform/fixtures/remediations.yaml"
    remediations = {
      "*:EC2/*"                              = "dry_run"
      "CryptoCurrency:EC2/*"                 = "auto"
      "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "approve"
      "Backdoor:EC2/C&CActivity.B"           = "off"
      "*:S3/*"                               = "dry_run"
    }
    account_remediations = {
      "222222222222" = { "*:EC2/BitcoinTool.B!DNS" = "off" }
      "333333333333" = { "UnauthorizedAccess:*" = "auto" }
    }
    extra_finding_types = ["Backdoor:EC2/NewThing.B!DNS"]
  }

  assert {
    condition = alltrue([
      for type, expected in {
        "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "approve CryptoCurrency:EC2/BitcoinTool.B!DNS"
        "CryptoCurrency:EC2/BitcoinTool.B"     = "auto CryptoCurrency:EC2/*" # the variable wins over the file
        "Backdoor:EC2/C&CActivity.B"           = "off Backdoor:EC2/C&CActivity.B"
        "Backdoor:EC2/Spambot"                 = "off Backdoor:EC2/Spambot" # YAML's bare off
        "Backdoor:EC2/NewThing.B!DNS"          = "dry_run *:EC2/*"
        "Trojan:EC2/DropPoint"                 = "dry_run *:EC2/*"
        "Discovery:S3/TorIPCaller"             = "notify *:S3/*" # no playbook
      } : "${output.effective_policy[type].mode} ${output.effective_policy[type].key}" == expected
    ])
    error_message = "The deciding keys are not those of the precedence: account exact, account glob, global exact, global glob."
  }
  assert {
    condition = alltrue([
      for type, expected in {
        "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "approve by CryptoCurrency:EC2/BitcoinTool.B!DNS; off in 222222222222"
        "CryptoCurrency:EC2/BitcoinTool.B"     = "auto by CryptoCurrency:EC2/*; notify in 222222222222"
        "Backdoor:EC2/Spambot"                 = "off by Backdoor:EC2/Spambot"
        "UnauthorizedAccess:EC2/TorClient"     = "dry_run by *:EC2/*; auto in 333333333333"
        "Discovery:S3/TorIPCaller"             = "notify by *:S3/*. dry_run was asked for, but no playbook answers this type yet: people are told."
        "Recon:IAMUser/TorIPCaller"            = null # only notified
      } : try(output.policy_summary[type], null) == expected
    ])
    error_message = "The summary must have a line for each type that is not only notified: ${jsonencode(output.policy_summary)}"
  }
  assert {
    condition = alltrue([
      output.effective_policy["Recon:IAMUser/TorIPCaller"].mode == "notify",
      output.effective_policy["Recon:IAMUser/TorIPCaller"].key == null,
      output.effective_policy["Recon:IAMUser/TorIPCaller"].scope == "default",
    ])
    error_message = "A type without a key must be notified."
  }
  assert {
    condition = alltrue([
      output.effective_policy["CryptoCurrency:EC2/BitcoinTool.B!DNS"].accounts["222222222222"].key == "*:EC2/BitcoinTool.B!DNS",
      output.effective_policy["CryptoCurrency:EC2/BitcoinTool.B"].accounts["222222222222"].mode == "notify",
      output.effective_policy["UnauthorizedAccess:EC2/TorClient"].accounts["333333333333"].mode == "auto",
      output.effective_policy["UnauthorizedAccess:IAMUser/TorIPCaller"].accounts["333333333333"].mode == "auto",
      output.effective_policy["UnauthorizedAccess:S3/TorIPCaller"].accounts["333333333333"].mode == "notify",
      length(output.effective_policy["Trojan:EC2/DropPoint"].accounts) == 0,
    ])
    error_message = "An account's exceptions must be its own keys only, whichever is the more literal, and never widen a type without playbook."
  }
  assert {
    condition     = strcontains(output.effective_policy["Discovery:S3/TorIPCaller"].note, "dry_run was asked for, but no playbook")
    error_message = "A mode that cannot act must say so."
  }
  assert {
    condition     = toset(keys(output.playbook_function_arns)) == toset(["ec2_instance", "iam_principal"])
    error_message = "The playbooks in use must have their functions."
  }
  assert {
    condition = [for pattern in output.act_event_patterns : jsondecode(pattern)] == [{
      source      = ["aws.guardduty"]
      detail-type = ["GuardDuty Finding"]
      detail      = { service = { archived = [false, "false", { exists = false }] } }
    }]
    error_message = "A glob that is no prefix needs a rule without a type filter: ${jsonencode(output.act_event_patterns)}"
  }
  assert {
    condition = alltrue([
      output.config_sha256 == sha256(local.config_json),
      jsondecode(local.config_json).version == 1,
      jsondecode(local.config_json).remediations["Backdoor:EC2/Spambot"] == "off",
      jsondecode(local.config_json).account_remediations["222222222222"] == { "CryptoCurrency:EC2/*" = "notify", "*:EC2/BitcoinTool.B!DNS" = "off" },
      jsondecode(local.config_json).responder == {
        role_path          = "/"
        quarantine_profile = "guardduty-response-quarantine"
        own_roles          = [for name in ["collector-ec2-instance", "collector-iam-principal", "monitor-ec2-instance", "monitor-iam-principal", "responder-ec2-instance", "responder-iam-principal"] : "*:role/guardduty-response-${name}"]
      },
      toset(keys(jsondecode(local.config_json))) == toset(["version", "name_prefix", "partition", "security_account", "paused", "remediations", "account_remediations", "minimum_severity", "playbooks", "active_playbooks", "guardrails", "notifications", "evidence", "extra_finding_types", "forensics", "responder"]),
    ])
    error_message = "The config document has not the agreed shape."
  }
}

# Exact types and prefixes, without those that another key covers: each finding matches one rule.
run "types_and_prefixes" {
  command = plan

  variables {
    remediations = {
      "CryptoCurrency:*"                     = "auto"
      "CryptoCurrency:EC2/*"                 = "approve"
      "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "dry_run"
      "Crypto*:EC2/BitcoinTool.B"            = "auto"
      "Backdoor:EC2/Spambot"                 = "auto"
      "Trojan:EC2/*"                         = "notify"
    }
  }

  # The glob inside the key is not covered: it would also match a purpose that is not known yet.
  assert {
    condition     = [for pattern in output.act_event_patterns : keys(jsondecode(pattern).detail)] == [["service"]]
    error_message = "A glob that no prefix covers needs every finding: ${jsonencode(output.act_event_patterns)}"
  }
}

run "accounts_together" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    account_remediations = {
      "111111111112" = { "CryptoCurrency:EC2/BitcoinTool.B" = "approve" }
      "111111111113" = { "CryptoCurrency:*" = "approve" }
      "111111111114" = { "CryptoCurrency:EC2/*" = "approve" }
      "111111111115" = { "CryptoCurrency:EC2/BitcoinTool.B" = "approve" }
      "111111111116" = { "CryptoCurrency:EC2/BitcoinTool.B" = "off" }
      "111111111117" = { "CryptoCurrency:EC2/BitcoinTool.B" = "auto" }
    }
  }

  assert {
    condition     = output.policy_summary["CryptoCurrency:EC2/BitcoinTool.B"] == "auto by CryptoCurrency:EC2/*; approve in 4 accounts (111111111112, 111111111113, 111111111114 …); off in 111111111116"
    error_message = "Accounts with equal decisions belong together: ${output.policy_summary["CryptoCurrency:EC2/BitcoinTool.B"]}"
  }
}

run "covered_keys" {
  command = plan

  variables {
    remediations = {
      "CryptoCurrency:*"                     = "auto"
      "CryptoCurrency:EC2/*"                 = "approve"
      "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "dry_run"
      "CryptoCurrency:*/BitcoinTool.B"       = "auto"
      "Backdoor:EC2/C&CActivity.B"           = "auto"
      "Trojan:EC2/*"                         = "notify"
    }
  }

  assert {
    condition     = [for pattern in output.act_event_patterns : jsondecode(pattern).detail.type] == [["Backdoor:EC2/C&CActivity.B", { prefix = "CryptoCurrency:" }]]
    error_message = "The rule act must have exact types and prefixes only, without those a wider key covers: ${jsonencode(output.act_event_patterns)}"
  }
}

# EventBridge refuses these four as wildcards ("Rule is too complex").
run "what_eventbridge_refuses" {
  command = plan

  variables {
    remediations = { "*:EC2/*" = "auto", "*:IAMUser/*" = "approve", "*:S3/*" = "dry_run", "*:Runtime/*" = "auto" }
  }

  assert {
    condition     = length(output.act_event_patterns) == 1 && !strcontains(join("", output.act_event_patterns), "wildcard")
    error_message = "The rule act must never have a wildcard: ${jsonencode(output.act_event_patterns)}"
  }
}

# More than fits into a pattern: several rules, none of them too long, each type in one of them.
run "many_exact_keys" {
  command = plan

  variables {
    remediations = { for type, entry in jsondecode(file("catalogue/finding_types.json")) : type => "auto" if length(setintersection(entry.resource_type, ["Instance", "AccessKey"])) > 0 }
  }

  assert {
    condition = length(output.act_event_patterns) > 1 && alltrue([for pattern in output.act_event_patterns : length(pattern) < 2048]) && sort(flatten([
      for pattern in output.act_event_patterns : jsondecode(pattern).detail.type
    ])) == sort(keys(var.remediations))
    error_message = "Many exact keys must share several rules, each type in exactly one: ${jsonencode(output.act_event_patterns)}"
  }
  assert {
    condition     = length(output.playbook_function_arns) == 2
    error_message = "More finding types in one playbook must not add functions."
  }
}

# More than ten rules would take.
run "too_many_exact_keys" {
  command = plan

  variables {
    extra_finding_types = [for number in range(500) : "CryptoCurrency:EC2/ATypeWithARatherLongName.${number}"]
    remediations        = { for number in range(500) : "CryptoCurrency:EC2/ATypeWithARatherLongName.${number}" => "auto" }
  }

  assert {
    condition     = [for pattern in output.act_event_patterns : keys(jsondecode(pattern).detail)] == [["service"]]
    error_message = "Beyond ten rules there must be one without a type filter: ${length(output.act_event_patterns)} rules"
  }
}

run "everything" {
  command = plan

  variables {
    remediations = { "*" = "approve", "Backdoor:EC2/Spambot" = "auto" }
  }

  assert {
    condition     = [for pattern in output.act_event_patterns : keys(jsondecode(pattern).detail)] == [["service"]]
    error_message = "The key * needs no type filter: ${jsonencode(output.act_event_patterns)}"
  }
}

run "mistakes_are_named" {
  command = plan

  variables {
    remediations = {
      "CryptoCurrency:EC2/BitcoinTool.B!DSN" = "auto" # misspelt
      "cryptocurrency:EC2/*"                 = "auto" # case
      "Backdoor:EC2/Spambot"                 = "on"   # unknown mode
      "Trojan:**"                            = "off"  # **
      "*:EC2/B*"                             = "auto" # as literal as the next one
      "C*:EC2/*"                             = "approve"
    }
    account_remediations = { "22222222222" = {} } # 11 digits
  }

  expect_failures = [output.effective_policy]

  assert {
    condition = length(local.policy_errors) == 6 && alltrue([
      for part in [
        "CryptoCurrency:EC2/BitcoinTool.B!DSN\" matches no known finding type (case matters); the nearest are CryptoCurrency:EC2/BitcoinTool.B!DNS,",
        "\"cryptocurrency:EC2/*\" matches no known finding type (case matters); the nearest are CryptoCurrency:EC2/*,",
        "\"Backdoor:EC2/Spambot\" has the unknown mode \"on\"; allowed are off, notify, dry_run, approve, auto.",
        "\"Trojan:**\" must not contain **",
        "\"*:EC2/B*\" = \"auto\" and \"C*:EC2/*\" = \"approve\" are equally literal and both match CryptoCurrency:EC2/BitcoinTool.",
        "\"22222222222\" is not an account id; it must have 12 digits",
      ] : strcontains(join("\n", local.policy_errors), part)
    ])
    error_message = "The plan must name every mistake and what was probably meant:\n${join("\n", local.policy_errors)}"
  }
}

run "management_account" {
  command = plan

  variables {
    remediations = {
      "CryptoCurrency:EC2/*"       = "auto"
      "Backdoor:EC2/C&CActivity.B" = "notify"
      "Trojan:EC2/DropPoint"       = "dry_run"
      "Trojan:EC2/DNSDataExfil*"   = "auto"
    }
    account_remediations = {
      "999999999999" = { "Trojan:EC2/DropPoint" = "off" }
      "222222222222" = { "CryptoCurrency:EC2/BitcoinTool.B" = "approve" }
    }
    management_account_id = "999999999999"
  }

  assert {
    condition = { for type in ["CryptoCurrency:EC2/BitcoinTool.B", "Backdoor:EC2/C&CActivity.B", "Trojan:EC2/DropPoint", "Trojan:EC2/DNSDataExfiltration", "Recon:EC2/Portscan"] : type => output.effective_policy[type].accounts } == {
      "CryptoCurrency:EC2/BitcoinTool.B" = {
        "222222222222" = { mode = "approve", key = "CryptoCurrency:EC2/BitcoinTool.B" }
        "999999999999" = { mode = "notify", key = "CryptoCurrency:EC2/*" }
      }
      "Backdoor:EC2/C&CActivity.B"     = {}
      "Trojan:EC2/DropPoint"           = { "999999999999" = { mode = "off", key = "Trojan:EC2/DropPoint" } }
      "Trojan:EC2/DNSDataExfiltration" = { "999999999999" = { mode = "notify", key = "Trojan:EC2/DNSDataExfil*" } }
      "Recon:EC2/Portscan"             = {}
    }
    error_message = "effective_policy must say what is done in the management account: nothing acts there. ${jsonencode(output.effective_policy["CryptoCurrency:EC2/BitcoinTool.B"])}"
  }
  assert {
    condition     = strcontains(output.effective_policy["Trojan:EC2/DNSDataExfiltration"].note, "Nothing acts in account 999999999999") && output.effective_policy["Trojan:EC2/DNSDataExfiltration"].mode == "auto" && output.effective_policy["Recon:EC2/Portscan"].note == null
    error_message = "The note must say so, and other accounts must be answered as before."
  }
}

run "management_account_that_should_act" {
  command = plan

  variables {
    account_remediations = {
      "999999999999" = { "CryptoCurrency:EC2/*" = "auto", "Trojan:EC2/*" = "dry_run", "Backdoor:EC2/*" = "notify" }
      "222222222222" = { "CryptoCurrency:EC2/*" = "auto" }
    }
    management_account_id = "999999999999"
  }

  expect_failures = [output.effective_policy]

  assert {
    condition = length(local.policy_errors) == 2 && alltrue([
      for part in ["\"CryptoCurrency:EC2/*\" = \"auto\", but 999999999999 is management_account_id", "\"Trojan:EC2/*\" = \"dry_run\", but"] :
      strcontains(join("\n", local.policy_errors), part)
    ])
    error_message = "The plan must refuse acting modes where nothing will act:\n${join("\n", local.policy_errors)}"
  }
}

run "misspelt_file" {
  command = plan

  variables {
    remediation_config_file = "tests/terraform/fixtures/misspelt.yaml"
  }

  expect_failures = [output.effective_policy]
}

run "malformed_file" {
  command = plan

  variables {
    remediation_config_file = "tests/terraform/fixtures/malformed.yaml"
  }

  expect_failures = [output.effective_policy]
}
