# The roles of member accounts by a service-managed StackSet. That its roles are those of responder-role: tests/terraform/plan.

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

run "patterns" {
  command = plan

  module {
    source = "./modules/event-patterns"
  }
}

run "plain" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }
}

run "with_forwarder" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    iam_path  = "/security/"
    forensics = true
    forwarder = { event_bus_arn = "arn:aws:events:eu-central-1:999999999999:event-bus/default", rules = { for name, rule in run.patterns.forwarder_rules : name => rule if name != "findings" } }
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

run "stackset" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
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
    for_member_accounts   = run.with_forwarder.value
    name                  = "second"
    organizational_units  = { a = "ou-ab12-aaaa3456", b = "ou-ab12-bbbb3456" }
    accounts              = { filter = "DIFFERENCE", ids = ["222222222222"] }
    auto_deployment       = { retain_on_account_removal = true }
    retain_stacks         = true
    call_as               = "DELEGATED_ADMIN"
    operation_preferences = { failure_tolerance_percentage = 0, max_concurrent_percentage = 10 }
    permissions_boundary  = "arn:aws:iam::111111111111:policy/boundary"
    tags                  = { team = "security", "cost:centre" = "42" }
    forwarder_regions     = ["eu-central-1", "us-east-1"]
    alarm_topic_names     = ["security-notifications"]
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
    for_member_accounts  = run.plain.value
    permissions_boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
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
    for_member_accounts = run.identity_center.value
    identity_center     = true
    accounts            = { filter = "INTERSECTION", ids = ["333333333333"] }
    auto_deployment     = { enabled = false }
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

run "stackset_with_a_long_template" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    tags                = { for n in range(40) : "key-${n}" => join("", [for _ in range(250) : "x"]) }
  }

  assert {
    condition = alltrue([
      length(output.template_body) > 51200,
      aws_s3_bucket.template[0].bucket == "gdr-member-roles-template-111111111111",
      aws_s3_object.template[0].bucket == "gdr-member-roles-template-111111111111",
      aws_s3_object.template[0].content == output.template_body,
      aws_s3_object.template[0].key == "gdr-member-roles/${sha256(output.template_body)}.json",
      aws_cloudformation_stack_set.this.template_url == "https://gdr-member-roles-template-111111111111.s3.amazonaws.com/gdr-member-roles/${sha256(output.template_body)}.json",
      output.template_url == aws_cloudformation_stack_set.this.template_url,
    ])
    error_message = "A template that is too long for a call must be an object that is named after its content, and the StackSet must read that."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.template[0].block_public_acls,
      aws_s3_bucket_public_access_block.template[0].block_public_policy,
      aws_s3_bucket_public_access_block.template[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.template[0].restrict_public_buckets,
      [for statement in jsondecode(aws_s3_bucket_policy.template[0].policy).Statement : "${statement.Effect} ${statement.Sid}"] == ["Deny TlsOnly"],
    ])
    error_message = "The bucket must be private, and its policy must grant nothing."
  }
}

run "stackset_with_a_bucket_of_its_own" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = merge(run.plain.value, { partition = "aws-cn" })
    template_bucket     = "ours"
  }

  assert {
    condition = alltrue([
      length(aws_s3_bucket.template) == 0,
      aws_cloudformation_stack_set.this.template_url == "https://ours.s3.amazonaws.com.cn/gdr-member-roles/${sha256(output.template_body)}.json",
      aws_s3_object.template[0].bucket == "ours",
    ])
    error_message = "Nothing but the object must be made in a bucket that is brought."
  }
}

run "stackset_whose_bucket_would_have_too_long_a_name" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    name                = "member-roles-of-the-organization-in-all-of-its-units"
    tags                = { for n in range(40) : "key-${n}" => join("", [for _ in range(250) : "x"]) }
  }

  expect_failures = [aws_s3_bucket.template]
}

run "stackset_of_forwarders" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts  = run.with_forwarder.value
    forwarder_regions    = ["eu-central-1", "us-east-1"]
    organizational_units = { a = "ou-ab12-aaaa3456", b = "ou-ab12-bbbb3456" }
    accounts             = { filter = "DIFFERENCE", ids = ["222222222222"] }
    call_as              = "DELEGATED_ADMIN"
    auto_deployment      = { retain_on_account_removal = true }
    retain_stacks        = true
    alarm_topic_names    = ["security-notifications"]
  }

  assert {
    condition = alltrue([
      aws_cloudformation_stack_set.forwarders[0].name == "gdr-member-roles-forwarders",
      aws_cloudformation_stack_set.forwarders[0].call_as == "DELEGATED_ADMIN",
      aws_cloudformation_stack_set.forwarders[0].permission_model == "SERVICE_MANAGED",
      aws_cloudformation_stack_set.forwarders[0].auto_deployment[0].enabled,
      aws_cloudformation_stack_set.forwarders[0].auto_deployment[0].retain_stacks_on_account_removal,
      aws_cloudformation_stack_set.forwarders[0].managed_execution[0].active,
      aws_cloudformation_stack_set.forwarders[0].template_body == output.forwarder_template_body,
      aws_cloudformation_stack_instances.forwarders[0].regions == toset(["eu-central-1", "us-east-1"]),
      aws_cloudformation_stack_instances.forwarders[0].retain_stacks,
      aws_cloudformation_stack_instances.forwarders[0].call_as == "DELEGATED_ADMIN",
      aws_cloudformation_stack_instances.forwarders[0].deployment_targets[0].organizational_unit_ids == toset(["ou-ab12-aaaa3456", "ou-ab12-bbbb3456"]),
      aws_cloudformation_stack_instances.forwarders[0].deployment_targets[0].account_filter_type == "DIFFERENCE",
      aws_cloudformation_stack_instances.forwarders[0].deployment_targets[0].accounts == toset(["222222222222"]),
      aws_cloudformation_stack_instances.forwarders[0].operation_preferences[0].region_concurrency_type == "PARALLEL",
    ])
    error_message = "The forwarders must go to the accounts of the roles, in every Region that is named."
  }
  assert {
    condition = toset(keys(jsondecode(output.forwarder_template_body).Resources)) == toset(["ChangesRule", "Changes2Rule", "ForwarderRole", "UndeliveredAlarm", "UndeliveredQueue", "UndeliveredQueuePolicy"]) && alltrue([
      for resource in jsondecode(output.forwarder_template_body).Resources : resource.Condition == "MemberAccount"
    ]) && jsondecode(output.forwarder_template_body).Conditions == { MemberAccount = { "Fn::Not" = [{ "Fn::Equals" = [{ Ref = "AWS::AccountId" }, "999999999999"] }] } }
    error_message = "The template must have a rule for each playbook, and nothing in the security account, which has the bus."
  }
  assert {
    condition = alltrue([
      jsondecode(output.forwarder_template_body).Resources.ForwarderRole.Properties.RoleName == { "Fn::Sub" = "gdr-forwarder-$${AWS::Region}" },
      jsondecode(output.forwarder_template_body).Resources.UndeliveredAlarm.Properties.AlarmActions == [{ "Fn::Sub" = "arn:aws:sns:$${AWS::Region}:$${AWS::AccountId}:security-notifications" }],
    ])
    error_message = "The role's name must differ per Region, where IAM is one, and the alarm notify the account's own topic."
  }
}

run "stackset_of_forwarders_that_nobody_listens_to" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    forwarder_regions   = ["eu-central-1"]
  }

  expect_failures = [var.forwarder_regions]
}

run "stackset_misspelt_keys" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts   = run.plain.value
    accounts              = { filters = "NONE" }
    operation_preferences = { max_concurrent_percent = 50 }
  }

  expect_failures = [var.accounts, var.operation_preferences]
}

run "stackset_misspelt_deployment" {
  command = plan

  module {
    source = "./modules/responder-stackset"
  }

  variables {
    for_member_accounts = run.plain.value
    auto_deployment     = { enable = false }
  }

  expect_failures = [var.auto_deployment]
}
