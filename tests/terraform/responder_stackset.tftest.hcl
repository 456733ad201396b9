# The roles of member accounts by a service-managed StackSet. That its roles are those of responder-role: tests/terraform/plan.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix          = "gdr"
  security_account_id  = "999999999999"
  organization_id      = "o-a1b2c3d4e5"
  organizational_units = { workloads = "ou-ab12-cdef3456" }
}

run "stackset" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  assert {
    condition = alltrue([
      aws_cloudformation_stack_set.this.name == "gdr-member-roles",
      aws_cloudformation_stack_set.this.permission_model == "SERVICE_MANAGED",
      aws_cloudformation_stack_set.this.capabilities == toset(["CAPABILITY_NAMED_IAM"]),
      aws_cloudformation_stack_set.this.call_as == "SELF",
      aws_cloudformation_stack_set.this.auto_deployment[0].enabled,
      !aws_cloudformation_stack_set.this.auto_deployment[0].retain_stacks_on_account_removal,
      aws_cloudformation_stack_set.this.managed_execution[0].active,
      aws_cloudformation_stack_set.this.operation_preferences[0].failure_tolerance_percentage == 100,
    ])
    error_message = "The StackSet must be service-managed, name its capability, deploy to accounts that join, queue changes, and not stop at one account that refuses."
  }
  assert {
    condition = alltrue([
      aws_cloudformation_stack_set_instance.this["workloads"].deployment_targets[0].organizational_unit_ids == toset(["ou-ab12-cdef3456"]),
      aws_cloudformation_stack_set_instance.this["workloads"].deployment_targets[0].account_filter_type == null,
      aws_cloudformation_stack_set_instance.this["workloads"].deployment_targets[0].accounts == null,
    ])
    error_message = "Without a filter every account of the OU is a target."
  }
  assert {
    condition     = toset(keys(jsondecode(output.template_body).Resources)) == toset(["CollectorEc2InstanceRole", "CollectorIamPrincipalRole", "MonitorEc2InstanceRole", "MonitorIamPrincipalRole", "QuarantineProfile", "QuarantineRole", "ResponderEc2InstanceRole", "ResponderIamPrincipalRole"])
    error_message = "The template must have the roles of the switches, and no others."
  }
  assert {
    condition = alltrue([for name, resource in jsondecode(output.template_body).Resources : (
      resource.Type == "AWS::IAM::Role" ?
      length(resource.Properties.Policies) == 1 && can(resource.Properties.Policies[0].PolicyDocument.Statement[0].Effect) && can(resource.Properties.AssumeRolePolicyDocument.Statement[0].Principal) :
      resource.Properties.Roles == [{ Ref = "QuarantineRole" }]
    )])
    error_message = "Policies must be objects inside their role, and the profile must hold the role by reference."
  }
  assert {
    condition = alltrue([
      jsondecode(output.template_body).Resources.QuarantineRole.Properties.Policies[0].PolicyDocument.Statement[0].Resource == "*",
      jsondecode(output.template_body).Resources.ResponderEc2InstanceRole.Properties.AssumeRolePolicyDocument.Statement[0].Principal.AWS == "arn:aws:iam::999999999999:root",
      !can(jsondecode(output.template_body).Resources.ResponderEc2InstanceRole.Properties.PermissionsBoundary),
      !can(jsondecode(output.template_body).Resources.ResponderEc2InstanceRole.Properties.Tags),
    ])
    error_message = "Fn::Sub must stand where a placeholder is, and nowhere else; what is not set must not be there."
  }
}

run "stackset_with_everything" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    name                  = "second"
    organizational_units  = { a = "ou-ab12-aaaa3456", b = "ou-ab12-bbbb3456" }
    accounts              = { filter = "DIFFERENCE", ids = ["222222222222"] }
    auto_deployment       = { retain_on_account_removal = true }
    retain_stacks         = true
    call_as               = "DELEGATED_ADMIN"
    operation_preferences = { failure_tolerance_percentage = 0, max_concurrent_percentage = 10 }
    iam                   = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
    tags                  = { team = "security", "cost:centre" = "42" }
    forensics             = true
  }

  assert {
    condition = alltrue([
      aws_cloudformation_stack_set.this.name == "second",
      aws_cloudformation_stack_set.this.call_as == "DELEGATED_ADMIN",
      aws_cloudformation_stack_set.this.auto_deployment[0].retain_stacks_on_account_removal,
      aws_cloudformation_stack_set.this.operation_preferences[0].max_concurrent_percentage == 10,
      keys(aws_cloudformation_stack_set_instance.this) == ["a", "b"],
      alltrue([for one in aws_cloudformation_stack_set_instance.this : one.call_as == "DELEGATED_ADMIN" && one.retain_stack]),
      aws_cloudformation_stack_set_instance.this["b"].deployment_targets[0].organizational_unit_ids == toset(["ou-ab12-bbbb3456"]),
      aws_cloudformation_stack_set_instance.this["b"].deployment_targets[0].account_filter_type == "DIFFERENCE",
      aws_cloudformation_stack_set_instance.this["b"].deployment_targets[0].accounts == toset(["222222222222"]),
    ])
    error_message = "Every switch must reach the StackSet and each OU's instance."
  }
  assert {
    condition = alltrue([
      for name, resource in jsondecode(output.template_body).Resources :
      resource.Properties.PermissionsBoundary == { "Fn::Sub" = "arn:aws:iam::$${AWS::AccountId}:policy/boundary" } && resource.Properties.Path == "/security/" &&
      resource.Properties.Tags == [{ Key = "cost:centre", Value = "42" }, { Key = "team", Value = "security" }] if resource.Type == "AWS::IAM::Role"
    ])
    error_message = "Every role must carry the tags, the path, and the boundary of its own account."
  }
}

run "stackset_boundary_of_aws" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    iam = { permissions_boundary = "arn:aws:iam::aws:policy/PowerUserAccess" }
  }

  assert {
    condition     = jsondecode(output.template_body).Resources.QuarantineRole.Properties.PermissionsBoundary == "arn:aws:iam::aws:policy/PowerUserAccess"
    error_message = "A policy of AWS is the same in every account."
  }
}

run "stackset_of_the_identity_center_account" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    restore         = ["iam_principal"]
    identity_center = true
    accounts        = { filter = "INTERSECTION", ids = ["333333333333"] }
    auto_deployment = { enabled = false }
  }

  assert {
    condition = alltrue([
      contains(keys(jsondecode(output.template_body).Resources), "IdentityCenterResponderIamPrincipalRole"),
      jsondecode(output.template_body).Resources.IdentityCenterRestorerIamPrincipalRole.Properties.RoleName == "gdr-identity-center-restorer",
      !aws_cloudformation_stack_set.this.auto_deployment[0].enabled,
      aws_cloudformation_stack_set.this.auto_deployment[0].retain_stacks_on_account_removal == null,
    ])
    error_message = "The Identity Center account's template must have its roles, and reach no other account by itself."
  }
}

run "stackset_too_large" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    tags = { for n in range(40) : "key-${n}" => join("", [for _ in range(250) : "x"]) }
  }

  expect_failures = [aws_cloudformation_stack_set.this]
}

run "stackset_rules" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    name                  = "-"
    organizational_units  = { root = "workloads" }
    accounts              = { filter = "UNION", ids = ["2222"] }
    call_as               = "ADMIN"
    operation_preferences = { max_concurrent_percentage = 0 }
    playbooks             = ["ec2"]
  }

  expect_failures = [var.name, var.organizational_units, var.accounts, var.call_as, var.operation_preferences, var.playbooks]
}

run "stackset_root_beside_an_ou" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
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
    accounts = { filter = "DIFFERENCE" }
  }

  expect_failures = [var.accounts]
}

run "stackset_filter_that_new_accounts_pass" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    accounts = { filter = "INTERSECTION", ids = ["222222222222"] }
  }

  expect_failures = [var.auto_deployment]
}

run "stackset_identity_center_everywhere" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    identity_center = true
  }

  expect_failures = [var.auto_deployment]
}

run "stackset_retained_without_auto_deployment" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    auto_deployment = { enabled = false, retain_on_account_removal = true }
  }

  expect_failures = [var.auto_deployment]
}

run "stackset_misspelt_keys" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    accounts              = { filters = "NONE" }
    operation_preferences = { max_concurrent_percent = 50 }
    iam                   = { boundary = "arn:aws:iam::111122223333:policy/boundary" }
  }

  expect_failures = [var.accounts, var.operation_preferences, var.iam]
}

run "stackset_misspelt_deployment" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    auto_deployment = { enable = false }
  }

  expect_failures = [var.auto_deployment]
}
