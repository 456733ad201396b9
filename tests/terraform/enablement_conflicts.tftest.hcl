# What modules/detector refuses once defaults are merged in and the account is known, each broken alone. The root module hands its variables through, so they fire there too.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

run "organization_without_detector" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create       = false
    organization = { manage = true }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "wrong_account" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, administrator_account_id = "222222222222" }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "administrator_as_member" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, auto_enable_members = "NEW", members = { "111111111111" = "security@example.com" } }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "members_beside_all" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, members = { "222222222222" = "member-a@example.com" } }
  }

  expect_failures = [check.members_beside_all]
}

run "organization_both_runtimes" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { EKS_RUNTIME_MONITORING = "NEW" } }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "organization_configuration_alone" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "UNMANAGED", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ALL" } }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "organization_agent_beyond_feature" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "NONE", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "NEW" } }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "exception_from_all" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, member_features = { "222222222222" = { S3_DATA_EVENTS = "DISABLED" } } }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}

run "exception_from_an_agent_for_all" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "NEW", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ALL" }, member_features = { "222222222222" = { RUNTIME_MONITORING = "ENABLED" } } }
  }

  expect_failures = [aws_guardduty_organization_configuration.this]
}
