# What modules/responder-stackset refuses.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix          = "gdr"
  security_account_id  = "999999999999"
  organization_id      = "o-a1b2c3d4e5"
  partition            = "aws"
  iam_path             = "/"
  playbooks            = ["ec2_instance", "iam_principal"]
  organizational_units = { workloads = "ou-ab12-cdef3456" }
  forwarder_regions    = []
}

run "plain" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }
}

run "identity_center" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    restore         = ["iam_principal"]
    identity_center = true
  }
}

run "stackset_rules" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts   = run.plain.value
    name                  = "-"
    organizational_units  = { root = "workloads" }
    accounts              = { filter = "UNION", ids = ["2222"] }
    call_as               = "ADMIN"
    operation_preferences = { max_concurrent_percentage = 0 }
    forwarder_regions     = ["everywhere"]
    alarm_topic_names     = ["arn:aws:sns:eu-central-1:111111111111:ours"]
    template_bucket       = "OURS"
    permissions_boundary  = "boundary"
  }

  expect_failures = [
    var.name, var.organizational_units, var.accounts, var.call_as, var.operation_preferences, var.forwarder_regions, var.alarm_topic_names, var.template_bucket,
    var.permissions_boundary,
  ]
}

run "stackset_root_beside_an_ou" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts  = run.plain.value
    organizational_units = { root = "r-ab12", workloads = "ou-ab12-cdef3456" }
  }

  expect_failures = [var.organizational_units]
}

run "stackset_one_ou_twice" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts  = run.plain.value
    organizational_units = { a = "ou-ab12-cdef3456", b = "ou-ab12-cdef3456" }
  }

  expect_failures = [var.organizational_units]
}

run "stackset_filter_without_accounts" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    accounts            = { filter = "DIFFERENCE" }
  }

  expect_failures = [var.accounts]
}

run "stackset_filter_that_new_accounts_pass" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    accounts            = { filter = "INTERSECTION", ids = ["222222222222"] }
  }

  expect_failures = [var.auto_deployment]
}

run "stackset_identity_center_everywhere" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.identity_center.value
    identity_center     = true
  }

  expect_failures = [var.auto_deployment]
}

run "stackset_retained_without_auto_deployment" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    auto_deployment     = { enabled = false, retain_on_account_removal = true }
  }

  expect_failures = [var.auto_deployment]
}
