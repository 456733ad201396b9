# Switches that can never act, because a protection plan is off or a filter archives the finding.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "a_plan_that_is_off" {
  command = plan

  variables {
    guardduty    = { detector = { features = { RUNTIME_MONITORING = "DISABLED" } } }
    remediations = { "*:Runtime/*" = "auto" }
  }

  expect_failures = [check.switches_can_fire]
}

# Some of its types come without the plan.
run "a_plan_that_is_off_for_some_types" {
  command = plan

  variables {
    guardduty    = { detector = { features = { RUNTIME_MONITORING = "DISABLED" } } }
    remediations = { "CryptoCurrency:*" = "auto" }
  }
}

# The members are configured elsewhere.
run "a_plan_that_is_off_here" {
  command = plan

  variables {
    organization_id = "o-abcdefghij"
    guardduty       = { detector = { features = { RUNTIME_MONITORING = "DISABLED" } } }
    remediations    = { "*:Runtime/*" = "auto" }
  }
}

# Somebody else manages GuardDuty, and says what is on.
run "a_plan_that_is_off_elsewhere" {
  command = plan

  variables {
    organization_id    = "o-abcdefghij"
    guardduty_features = { RUNTIME_MONITORING = "DISABLED" }
    remediations       = { "*:Runtime/*" = "auto" }
  }

  expect_failures = [check.switches_can_fire]
}

run "a_plan_that_is_on_elsewhere" {
  command = plan

  variables {
    organization_id    = "o-abcdefghij"
    guardduty          = { detector = { features = { RUNTIME_MONITORING = "DISABLED" } } }
    guardduty_features = { RUNTIME_MONITORING = "ENABLED" }
    remediations       = { "*:Runtime/*" = "auto" }
  }
}

# For new members it is on.
run "a_plan_that_is_on_for_members" {
  command = plan

  variables {
    organization_id = "o-abcdefghij"
    guardduty       = { detector = { features = { RUNTIME_MONITORING = "DISABLED" } }, organization = { manage = true, features = { RUNTIME_MONITORING = "NEW" } } }
    remediations    = { "*:Runtime/*" = "auto" }
  }
}

run "features_that_are_none" {
  command = plan

  variables {
    guardduty_features = { RUNTIME_MONITORING = "on" }
  }

  expect_failures = [var.guardduty_features]
}

run "a_filter_that_archives_what_is_answered" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    guardduty    = { suppression_filters = [{ name = "quiet", criteria = { type = { equals = ["CryptoCurrency:EC2/BitcoinTool.B"] } } }] }
  }

  expect_failures = [check.switches_can_fire]
}

run "a_filter_that_archives_some_of_it" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    guardduty = { suppression_filters = [{
      name     = "scanner"
      criteria = { type = { equals = ["CryptoCurrency:EC2/BitcoinTool.B"] }, accountId = { equals = ["222222222222"] } }
    }] }
  }
}
