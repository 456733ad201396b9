# modules/delegated-admin: only in the management account, only with trusted access, only for an account of the organization.
# AWS retired an account's status: provider 5 has "" there, and only a status that says no is one.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "999999999999" }
  }
  mock_data "aws_organizations_organization" {
    defaults = {
      id                            = "o-a1b2c3d4e5"
      master_account_id             = "999999999999"
      aws_service_access_principals = ["guardduty.amazonaws.com", "malware-protection.guardduty.amazonaws.com"]
      accounts = [
        { arn = "a", email = "m@example.com", id = "999999999999", name = "management", status = "" },
        { arn = "b", email = "s@example.com", id = "111111111111", name = "security", status = "" },
        { arn = "c", email = "o@example.com", id = "444444444444", name = "old", status = "SUSPENDED" },
        { arn = "d", email = "l@example.com", id = "333333333333", name = "leaving", status = "PENDING_CLOSURE" },
        { arn = "e", email = "a@example.com", id = "222222222222", name = "as before", status = "ACTIVE" },
      ]
    }
  }
}

variables {
  admin_account_id = "111111111111"
}

run "registered" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_detector_id = "12abc34d567e8fa901bc2d34e56789f0"
  }

  assert {
    condition     = aws_guardduty_organization_admin_account.this.admin_account_id == "111111111111" && aws_guardduty_detector.management[0].enable
    error_message = "The administrator must be registered, and the management account switched on, which nobody else can do."
  }
  assert {
    condition     = output.organization_id == "o-a1b2c3d4e5" && output.management_account_id == "999999999999" && output.enablement_managed_by == "MODULE"
    error_message = "The outputs must be what the root module takes."
  }
}

run "plans_of_the_management_account" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    features = {
      LAMBDA_NETWORK_LOGS                       = "DISABLED"
      S3_DATA_EVENTS                            = "UNMANAGED"
      RUNTIME_MONITORING                        = "ENABLED"
      "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED"
      "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT" = "UNMANAGED"
    }
  }

  assert {
    condition = tomap({ for name, one in aws_guardduty_detector_feature.management : name => one.status }) == tomap({
      LAMBDA_NETWORK_LOGS = "DISABLED", RUNTIME_MONITORING = "ENABLED",
    }) && [for one in aws_guardduty_detector_feature.management["RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.status}"] == ["EKS_ADDON_MANAGEMENT ENABLED"]
    error_message = "What is said must be what is set, and nothing else."
  }
}

run "plans_status" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    features = { S3_DATA_EVENTS = "NONE" }
  }

  expect_failures = [var.features]
}

run "plans_without_a_detector" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    enable_management_account = false
    features                  = { S3_DATA_EVENTS = "DISABLED" }
  }

  expect_failures = [var.features]
}

run "plans_foundational" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    features = { DNS_LOGS = "DISABLED" }
  }

  expect_failures = [var.features]
}

run "plans_agent_alone" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    features = { "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "DISABLED" }
  }

  expect_failures = [var.features]
}

run "plans_agent_beyond_its_plan" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    features = { RUNTIME_MONITORING = "DISABLED", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "plans_both_runtimes" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    features = { RUNTIME_MONITORING = "ENABLED", EKS_RUNTIME_MONITORING = "ENABLED" }
  }

  expect_failures = [var.features]
}

run "management_account_has_a_detector" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    enable_management_account = false
  }

  assert {
    condition     = length(aws_guardduty_detector.management) == 0 && output.management_detector_id == null
    error_message = "A detector that exists must not be made again."
  }
}

run "wrong_account" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  override_data {
    target = data.aws_caller_identity.current
    values = { account_id = "111111111111" }
  }
  # What another account sees of its organization.
  override_data {
    target = data.aws_organizations_organization.this
    values = { id = "o-a1b2c3d4e5", master_account_id = "999999999999", accounts = [], aws_service_access_principals = [] }
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "no_trusted_access" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  override_data {
    target = data.aws_organizations_organization.this
    values = {
      master_account_id             = "999999999999"
      aws_service_access_principals = ["malware-protection.guardduty.amazonaws.com"]
      accounts                      = [{ arn = "b", email = "s@example.com", id = "111111111111", name = "security", status = "ACTIVE" }]
    }
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "no_trusted_access_for_malware_protection" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  override_data {
    target = data.aws_organizations_organization.this
    values = {
      master_account_id             = "999999999999"
      aws_service_access_principals = ["guardduty.amazonaws.com"]
      accounts                      = [{ arn = "b", email = "s@example.com", id = "111111111111", name = "security", status = "ACTIVE" }]
    }
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "malware_protection_not_used" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    malware_protection = false
  }

  override_data {
    target = data.aws_organizations_organization.this
    values = {
      master_account_id             = "999999999999"
      aws_service_access_principals = ["guardduty.amazonaws.com"]
      accounts                      = [{ arn = "b", email = "s@example.com", id = "111111111111", name = "security", status = "ACTIVE" }]
    }
  }

  assert {
    condition     = aws_guardduty_organization_admin_account.this.admin_account_id == "111111111111"
    error_message = "Where EBS_MALWARE_PROTECTION is not used, its trusted access is not needed."
  }
}

run "management_account_as_administrator" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_account_id = "999999999999"
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "not_in_the_organization" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_account_id = "555555555555"
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "suspended" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_account_id = "444444444444"
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "closing" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_account_id = "333333333333"
  }

  expect_failures = [data.aws_organizations_organization.this]
}

run "active" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_account_id = "222222222222"
  }

  assert {
    condition     = aws_guardduty_organization_admin_account.this.admin_account_id == "222222222222"
    error_message = "A status that is still answered must do no harm."
  }
}

run "account_id" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_account_id = "security"
  }

  expect_failures = [var.admin_account_id]
}

run "detector_id" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  variables {
    admin_detector_id = "arn:aws:guardduty:us-east-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0"
  }

  expect_failures = [aws_guardduty_organization_admin_account.this]
}

run "policies_of_organizations" {
  command = plan

  module {
    source = "./modules/delegated-admin"
  }

  override_data {
    target = data.aws_organizations_organization.this
    values = {
      id                            = "o-a1b2c3d4e5"
      master_account_id             = "999999999999"
      aws_service_access_principals = ["guardduty.amazonaws.com", "malware-protection.guardduty.amazonaws.com"]
      accounts                      = [{ arn = "b", email = "s@example.com", id = "111111111111", name = "security", status = "" }]
      roots                         = [{ arn = "r", id = "r-a1b2", name = "Root", policy_types = [{ status = "ENABLED", type = "TAG_POLICY" }, { status = "ENABLED", type = "GUARDDUTY_POLICY" }] }]
    }
  }

  assert {
    condition     = output.enablement_managed_by == "GUARDDUTY_POLICY"
    error_message = "A policy type that is enabled in the root must be told, because auto-enable has no effect then."
  }
}
