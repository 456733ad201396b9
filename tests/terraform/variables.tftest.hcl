# Every rule of the root variables (those of detector and organization are modules/detector's: enablement_*.tftest.hcl; those of playbooks: playbook_options.tftest.hcl; those of a single key of an object: settings.tftest.hcl), grouped: a run may expect several failures, and each rule is broken alone in one of them.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "first_rule_of_each" {
  command = plan

  variables {
    name_prefix      = "GuardDuty"
    organization_id  = "organization"
    kms              = { create = false }
    notifications    = { create_topic = false }
    evidence         = { create_bucket = false }
    functions        = { vpc = { subnet_ids = ["subnet-1"] } }
    minimum_severity = { off = 1 }
    exempt_accounts  = ["1234"]

    remediation_config_file = "does-not-exist.yaml"
    extra_finding_types     = ["Backdoor:EC2/*"]
  }

  expect_failures = [
    var.name_prefix, var.organization_id, var.kms, var.notifications, var.evidence, var.functions,
    var.minimum_severity, var.exempt_accounts, var.remediation_config_file, var.extra_finding_types,
  ]
}

run "second_rule_of_each" {
  command = plan

  variables {
    name_prefix           = "guardduty-response-of-security" # too long for the bucket's name
    kms                   = { key_arn = "arn:aws:kms:eu-central-1:111111111111:key/1" }
    notifications         = { escalation = { topic_arn = "arn:aws:sns:eu-central-1:111111111111:on-call" } }
    evidence              = { create_bucket = false, bucket_arn = "arn:aws:s3:::evidence", force_destroy = true }
    minimum_severity      = { auto = 11 }
    management_account_id = "1234"

    remediation_config_file = "tests/terraform/fixtures/not-a-map.yaml"
  }

  expect_failures = [
    var.name_prefix, var.kms, var.notifications, var.evidence, var.minimum_severity,
    var.management_account_id, var.remediation_config_file,
  ]
}

run "third_rule_of_each" {
  command = plan

  variables {
    name_prefix      = "sg-response" # no security group may be named so
    exempt_resources = ["*"]
  }

  expect_failures = [var.name_prefix, var.exempt_resources]
}

run "fourth_rule_of_each" {
  command = plan

  variables {
    notifications     = { create_topic = false, topic_arn = "arn:aws:sns:eu-central-1:111111111111:t", email_addresses = ["a@example.com"] }
    exempt_principals = ["break-glass"]
  }

  expect_failures = [var.notifications, var.exempt_principals]
}

run "fifth_rule_of_each" {
  command = plan

  variables {
    evidence     = { object_lock = { days = 30 }, expire_after_days = 7 }
    approval_tag = { key = "" }
  }

  expect_failures = [var.evidence, var.approval_tag]
}

run "freeze_windows" {
  command = plan

  variables {
    freeze_windows = [{ name = "month end", start = "2026-12-02T00:00:00Z", end = "2026-11-30T00:00:00Z" }]
  }

  expect_failures = [var.freeze_windows]
}

run "forensics_after_without_groups" {
  command = plan

  variables {
    forensics = { when = "after" }
  }

  expect_failures = [var.forensics]
}

run "watch_intervals" {
  command = plan

  variables {
    watch = { first_day_minutes = 30, first_week_minutes = 20 }
  }

  expect_failures = [var.watch]
}

# As many slots again are for what CloudTrail tells of: eight functions may verify at a time.
run "watch_reserved_below_what_may_be_in_flight" {
  command = plan

  variables {
    watch = { checks_in_flight = 4, reserved_concurrency = 7 }
  }

  expect_failures = [var.watch]
}

run "watch_reserved_for_what_may_be_in_flight" {
  command = plan

  variables {
    watch = { checks_in_flight = 4, reserved_concurrency = 8 }
  }

  assert {
    condition     = local.watch.checks_in_flight == 4
    error_message = "Twice checks_in_flight is enough."
  }
}

run "watch_as_release_0_1_had_it" {
  command = plan

  variables {
    watch = { minutes = 30 }
  }

  assert {
    condition     = local.watch == { first_day_minutes = 30, first_week_minutes = 30, later_minutes = 30, checks_in_flight = 2, cloudtrail = true }
    error_message = "Who had set the one interval of release 0.1 must keep it for all time: ${jsonencode(local.watch)}"
  }
}

run "watch_by_itself" {
  command = plan

  assert {
    condition     = local.watch == { first_day_minutes = 15, first_week_minutes = 60, later_minutes = 360, checks_in_flight = 2, cloudtrail = true }
    error_message = "Checks must become rarer with time: ${jsonencode(local.watch)}"
  }
}

run "subscriptions_by_addresses" {
  command = plan

  variables {
    notifications = {
      email_addresses = ["a@example.com", "b@example.com"]
      escalation      = { expected_subscriptions = 0 }
    }
  }

  assert {
    condition     = local.expected_subscriptions == { notifications = 2, escalations = 0 } && module.incident[0].function_environment["GDR_MESSAGES_A_MINUTE"] == "6"
    error_message = "As many subscriptions must be expected as there are addresses, or as the number says, and people get six messages a minute."
  }
}

run "nobody_is_subscribed" {
  command = plan

  variables {
    notifications = {}
  }

  expect_failures = [check.somebody_is_subscribed]
}

run "nobody_is_expected" {
  command = plan

  variables {
    notifications = { expected_subscriptions = 0 }
  }
}

run "somebody_is_expected" {
  command = plan

  assert {
    condition     = local.expected_subscriptions == { notifications = 1, escalations = 1 }
    error_message = "A topic without addresses must have a subscriber."
  }
}
