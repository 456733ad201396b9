# What has the prefix of the security account refuses the prefixes that it refuses: no quarantine group could be named after them.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  security_account_id  = "999999999999"
  organization_id      = "o-a1b2c3d4e5"
  organizational_units = { workloads = "ou-ab12-cdef3456" }
}

run "quarantine_scp" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    name_prefix = "sg"
  }

  expect_failures = [var.name_prefix]
}

run "forensics_account" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    name_prefix = "sg-response"
  }

  expect_failures = [var.name_prefix]
}
