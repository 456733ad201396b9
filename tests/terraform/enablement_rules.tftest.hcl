# Every rule of modules/detector about one detector and about the shape of the organization's settings, broken alone. The root module hands its variables through, so they fire there too.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

run "id_with_create" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    id = "12abc34d567e8fa901bc2d34e56789f0"
  }

  expect_failures = [var.id]
}

run "frequency" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    finding_publishing_frequency = "DAILY"
  }

  expect_failures = [var.finding_publishing_frequency]
}

run "frequency_of_a_detector_that_exists" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create                       = false
    id                           = "12abc34d567e8fa901bc2d34e56789f0"
    finding_publishing_frequency = "FIFTEEN_MINUTES"
  }

  expect_failures = [var.finding_publishing_frequency]
}

run "features_status" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { S3_DATA_EVENTS = "on" }
  }

  expect_failures = [var.features]
}

run "features_name" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { "RUNTIME_MONITORING/" = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "features_without_detector" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create   = false
    features = { S3_DATA_EVENTS = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "features_foundational" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { DNS_LOGS = "DISABLED" }
  }

  expect_failures = [var.features]
}

run "features_agent_of_eks_runtime" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { RUNTIME_MONITORING = "UNMANAGED", EKS_RUNTIME_MONITORING = "ENABLED", "EKS_RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT" = "DISABLED" }
  }

  expect_failures = [var.features]
}

run "features_agent_of_what_is_off" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { RUNTIME_MONITORING = "DISABLED", "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT" = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "features_configuration_without_feature" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { "QUANTUM_PROTECTION/AGENT_MANAGEMENT" = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "features_both_runtimes" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { EKS_RUNTIME_MONITORING = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "organization_not_managed" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { members = { "222222222222" = "member-a@example.com" } }
  }

  expect_failures = [var.organization]
}

run "organization_auto_enable" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, auto_enable_members = "EVERYBODY" }
  }

  expect_failures = [var.organization]
}

run "organization_status" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { S3_DATA_EVENTS = "ENABLED" } }
  }

  expect_failures = [var.organization]
}

run "organization_name" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { "s3" = "ALL" } }
  }

  expect_failures = [var.organization]
}

run "members_id" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, members = { "2222" = "member-a@example.com" } }
  }

  expect_failures = [var.organization]
}

run "members_email" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, members = { "222222222222" = "member-a" } }
  }

  expect_failures = [var.organization]
}

run "exception_id" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { S3_DATA_EVENTS = "NEW" }, member_features = { "2222" = { S3_DATA_EVENTS = "DISABLED" } } }
  }

  expect_failures = [var.organization]
}

run "exception_status" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { S3_DATA_EVENTS = "NEW" }, member_features = { "222222222222" = { S3_DATA_EVENTS = "NONE" } } }
  }

  expect_failures = [var.organization]
}

run "organization_foundational" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { FLOW_LOGS = "ALL" } }
  }

  expect_failures = [var.organization]
}

run "exception_foundational" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, member_features = { "222222222222" = { CLOUD_TRAIL = "DISABLED" } } }
  }

  expect_failures = [var.organization]
}

run "organization_agent_of_eks_runtime" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "NONE", EKS_RUNTIME_MONITORING = "ALL", "EKS_RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT" = "NONE" } }
  }

  expect_failures = [var.organization]
}

run "exception_configuration_alone" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "NEW" }, member_features = { "222222222222" = { "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" } } }
  }

  expect_failures = [var.organization]
}

run "exception_agent_of_what_is_off" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "NEW" }, member_features = { "222222222222" = { RUNTIME_MONITORING = "DISABLED", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" } } }
  }

  expect_failures = [var.organization]
}

run "exception_both_runtimes" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RUNTIME_MONITORING = "NEW" }, member_features = { "222222222222" = { RUNTIME_MONITORING = "ENABLED", EKS_RUNTIME_MONITORING = "ENABLED" } } }
  }

  expect_failures = [var.organization]
}

run "administrator_id" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, administrator_account_id = "security" }
  }

  expect_failures = [var.organization]
}

run "a_policy_and_the_module" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    managed_by   = "GUARDDUTY_POLICY"
    organization = { manage = true, features = { S3_DATA_EVENTS = "ALL" } }
  }

  expect_failures = [var.organization]
}
