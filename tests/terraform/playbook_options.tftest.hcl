# The options of the playbooks: what a manifest does not know fails the plan with a sentence, and what was not given has the
# default of the manifest. modules/playbook-options needs no provider.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "every_option_has_its_default" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name    = "ec2_instance"
    options = {}
  }

  assert {
    condition     = length(output.problems) == 0
    error_message = "Nothing is wrong with nothing: ${jsonencode(output.problems)}"
  }
  # The shape of the config document, which running executions and older functions read.
  assert {
    condition = jsonencode(output.options) == jsonencode({
      quarantine_security_group_ids = {}
      untrack_connections           = false
      disassociate_elastic_ip       = false
      auto_scaling                  = "detach"
      deregister_targets            = true
      protect_instance              = true
      replace_instance_profile      = true
      revoke_sessions               = "instance"
      other_role_sessions           = true
      lookup_regions                = []
      repeat_minutes                = 20
      disable_metadata              = false
      snapshot                      = true
      capture_console               = true
      copy_logs                     = true
      config_history_days           = 7
      replacement_wait_minutes      = 10
      finish                        = "none"
      terminate_keeps_volumes       = true
      restore                       = false
      reattach_auto_scaling         = false
    })
    error_message = "The defaults of ec2_instance changed: ${jsonencode(output.options)}"
  }
}

run "every_option_of_a_principal_has_its_default" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name    = "iam_principal"
    options = {}
  }

  assert {
    condition = length(output.problems) == 0 && jsonencode(output.options) == jsonencode({
      console_password    = "remove"
      deactivate_mfa      = true
      other_credentials   = true
      revoke_sessions     = "session"
      user_role_sessions  = true
      list_actions        = true
      lookup_hours        = 24
      lookup_regions      = []
      repeat_minutes      = 20
      config_history_days = 7
      trail_query         = null
      remediate           = []
      rotate_key          = null
      restore             = false
      identity_center     = null
    })
    error_message = "The defaults of iam_principal changed: ${jsonencode(output.options)}"
  }
}

run "what_is_given_stands_in_the_type_of_its_option" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name = "iam_principal"
    options = {
      lookup_hours     = "48"
      restore          = "true"
      remediate        = ["users", "trails", "users"]
      console_password = null
      trail_query      = { athena = { workgroup = "w", database = "d", table = "t", bucket_arns = ["arn:aws:s3:::b", "arn:aws:s3:::a"] } }
      rotate_key       = { reader_arns = ["arn:aws:iam::222222222222:role/owner"] }
    }
  }

  assert {
    condition     = length(output.problems) == 0
    error_message = jsonencode(output.problems)
  }
  assert {
    condition = jsonencode([for name in ["lookup_hours", "restore", "remediate", "console_password", "trail_query", "rotate_key"] : output.options[name]]) == jsonencode([
      48, true, ["trails", "users"], "remove",
      { athena = { workgroup = "w", database = "d", table = "t", bucket_arns = ["arn:aws:s3:::b", "arn:aws:s3:::a"] }, lake = null },
      { reader_arns = ["arn:aws:iam::222222222222:role/owner"], kms_key_id = null },
    ])
    error_message = jsonencode(output.options)
  }
}

run "a_misspelt_key_names_the_nearest" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name    = "ec2_instance"
    options = { snapshots = false, qqq = 1 }
  }

  assert {
    condition = length(output.problems) == 2 && alltrue([
      startswith(output.problems[1], "ec2_instance.snapshots is no option of this playbook; the nearest is snapshot. Its options are auto_scaling, "),
      startswith(output.problems[0], "ec2_instance.qqq is no option of this playbook. Its options are auto_scaling, "),
    ])
    error_message = jsonencode(output.problems)
  }
}

run "a_misspelt_key_inside_an_option" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name = "iam_principal"
    options = {
      rotate_key  = { reader_arn = ["arn:aws:iam::222222222222:role/owner"], reader_arns = ["arn:aws:iam::222222222222:role/owner"] }
      trail_query = { athena = { workgroup = "w", databse = "d", database = "d", table = "t", bucket_arns = [] } }
    }
  }

  assert {
    condition = output.problems == [
      "iam_principal.rotate_key.reader_arn is no option of this playbook; the nearest is reader_arns. rotate_key has kms_key_id, reader_arns.",
      "iam_principal.trail_query.athena.databse is no option of this playbook; the nearest is database. trail_query.athena has bucket_arns, database, table, workgroup.",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "wrong_types_and_values" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name = "ec2_instance"
    options = {
      auto_scaling                  = "suspend"
      config_history_days           = 400
      finish                        = true
      quarantine_security_group_ids = { "vpc-0123456789abcdef0" = "quarantine" }
      replacement_wait_minutes      = 999
      restore                       = "maybe"
      revoke_sessions               = ["all"]
      snapshot                      = {}
    }
  }

  assert {
    condition = output.problems == [
      "ec2_instance.auto_scaling must be one of none, detach (the group launches a replacement), standby; it is \"suspend\".",
      "ec2_instance.config_history_days must be a number of days from 0 (the history is not kept) to 365; it is 400.",
      "ec2_instance.finish must be one of none, stop, terminate (cannot be undone); it is true.",
      "ec2_instance.quarantine_security_group_ids must map VPC ids (vpc-…) to security group ids (sg-…); it is {\"vpc-0123456789abcdef0\":\"quarantine\"}.",
      "ec2_instance.replacement_wait_minutes must be a number from 0 to 120; it is 999.",
      "ec2_instance.restore must be true or false; it is \"maybe\".",
      "ec2_instance.revoke_sessions must be one of none, instance (the sessions of this instance), role (every session of its role); it is [\"all\"].",
      "ec2_instance.snapshot must be true or false; it is {}.",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "wrong_values_of_a_principal" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name = "iam_principal"
    options = {
      console_password = "delete"
      identity_center  = { account_id = "99", region = "Ireland", instance_arn = "ssoins-0123456789abcdef" }
      list_actions     = false
      lookup_hours     = 0
      lookup_regions   = ["Frankfurt"]
      remediate        = ["everything"]
      repeat_minutes   = -1
      revoke_sessions  = "none"
      rotate_key       = { reader_arns = [] }
      trail_query      = {}
    }
  }

  assert {
    condition = [for problem in output.problems : split(" ", problem)[0]] == [
      "iam_principal.console_password", "iam_principal.identity_center.account_id", "iam_principal.identity_center.instance_arn",
      "iam_principal.identity_center.region", "iam_principal.lookup_hours", "iam_principal.lookup_regions", "iam_principal.remediate",
      "iam_principal.repeat_minutes", "iam_principal.revoke_sessions", "iam_principal.rotate_key.reader_arns",
      "iam_principal.identity_center.identity_store_id", "iam_principal.trail_query", "iam_principal.remediate",
    ]
    error_message = jsonencode(output.problems)
  }
  assert {
    condition = alltrue([
      for sentence in [
        "iam_principal.identity_center.identity_store_id is missing: The identity store of that instance.",
        "iam_principal.lookup_hours must be a number above 0, at most 2160 (CloudTrail keeps 90 days for LookupEvents); it is 0.",
        "iam_principal.remediate must be any of access_keys, users, login_profiles, roles, policies, trust, instances, security_groups, buckets, trails, detectors, functions, sharing; it is [\"everything\"].",
        "iam_principal.remediate undoes what the list shows: it needs list_actions = true.",
        "iam_principal.trail_query must have either athena or lake.",
      ] : contains(output.problems, sentence)
    ])
    error_message = jsonencode(output.problems)
  }
}

run "no_object_at_all" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name    = "ec2_instance"
    options = ["snapshot"]
  }

  assert {
    condition     = output.problems == ["ec2_instance must be an object of options, for example ec2_instance = { auto_scaling = … }."] && output.options.snapshot
    error_message = jsonencode(output.problems)
  }
}

run "options_that_need_another_one" {
  command = plan

  module {
    source = "./modules/playbook-options"
  }
  variables {
    name    = "ec2_instance"
    options = { finish = "terminate", snapshot = false, reattach_auto_scaling = true }
  }

  assert {
    condition = output.problems == [
      "ec2_instance.finish = \"terminate\" needs snapshot = true: what is destroyed must be kept first.",
      "ec2_instance.reattach_auto_scaling is a part of restoring: set restore = true with it.",
    ]
    error_message = jsonencode(output.problems)
  }
}

# --- the root module fails the plan with them -------------------------------------------------------------------------------

run "a_misspelt_key_fails_the_plan" {
  command = plan

  variables {
    ec2_instance = { snapshots = false }
  }

  expect_failures = [output.playbook_options]
}

run "a_misspelt_key_of_the_other_playbook_fails_the_plan" {
  command = plan

  variables {
    iam_principal = { rotate_key = { reader_arn = ["arn:aws:iam::222222222222:role/owner"], reader_arns = ["arn:aws:iam::222222222222:role/owner"] } }
  }

  expect_failures = [output.playbook_options]
}

run "a_wrong_value_fails_the_plan" {
  command = plan

  variables {
    ec2_instance = { finish = "terminate", snapshot = false }
  }

  expect_failures = [output.playbook_options]
}

run "a_wrong_type_fails_the_plan" {
  command = plan

  variables {
    iam_principal = { remediate = "users" }
  }

  expect_failures = [output.playbook_options]
}

run "the_document_has_the_options" {
  command = plan

  variables {
    ec2_instance = { snapshot = false }
  }

  assert {
    condition = jsonencode(jsondecode(local.config_json).playbooks) == jsonencode({
      ec2_instance  = merge(output.playbook_options.ec2_instance, { snapshot = false })
      iam_principal = output.playbook_options.iam_principal
    }) && !jsondecode(local.config_json).playbooks.ec2_instance.snapshot
    error_message = "The functions read the options from the config document: ${jsonencode(jsondecode(local.config_json).playbooks)}"
  }
}
