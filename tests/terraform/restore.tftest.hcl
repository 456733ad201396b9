# Restore: nothing of it unless switched on; then a function, a role, and a role in the member that can undo and nothing else.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix   = "gdr"
  iam           = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
}

run "restore_off" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
  }

  assert {
    condition     = length(output.restore_function_arns) == 0 && length(output.member_role_trust["restorer"]) == 0
    error_message = "Restore must have no function and no role unless it is switched on."
  }
}

run "restore_off_with_create" {
  command = plan

  variables {
    create       = false
    ec2_instance = { restore = true }
  }

  assert {
    condition     = length(module.function) == 0
    error_message = "create = false must make nothing."
  }
}

run "restore_on" {
  command = plan

  variables {
    ec2_instance = { restore = true }
  }

  assert {
    condition     = keys(module.function) == ["ec2_instance/restore"] && length(output.restore_function_arns) == 1
    error_message = "Restore must be there where nothing acts any more: what was contained before can still be restored."
  }
  assert {
    condition     = jsondecode(local.config_json).playbooks.ec2_instance.reattach_auto_scaling == false
    error_message = "Auto Scaling must be opt-in."
  }
}

run "reattach_without_restore" {
  command = plan

  variables {
    ec2_instance = { reattach_auto_scaling = true }
  }

  expect_failures = [output.playbook_options]
}

run "without_restore" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    security_account_id = "999999999999"
    partition           = "aws"
    iam_path            = "/security/"
    playbooks           = ["ec2_instance", "iam_principal"]
  }
}

run "with_restore" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    security_account_id = "999999999999"
    organization_id     = "o-a1b2c3d4e5"
    partition           = "aws"
    iam_path            = "/security/"
    playbooks           = ["ec2_instance", "iam_principal"]
    restore             = ["ec2_instance"]
  }
}

run "restorer_role_off" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = run.without_restore.value
  }

  assert {
    condition     = length(output.role_arns["restorer"]) == 0 && length(output.policies["restorer"]) == 0
    error_message = "A member account must have no restorer role unless it is switched on."
  }
  assert {
    condition = alltrue([
      for action in ["RegisterTargets", "AssociateAddress", "AttachInstances", "ExitStandby", "DeleteTags"] :
      !strcontains(output.policies["responder"]["ec2_instance"], action)
      ]) && alltrue([
      for s in jsondecode(output.policies["responder"]["ec2_instance"]).Statement :
      s.Condition == { StringEquals = { "aws:ResourceTag/gdr-sessions" = "denied" } } if s.Effect == "Allow" && contains(flatten([s.Action]), "iam:DeleteRolePolicy")
    ])
    error_message = "The role that contains must not be able to undo what it did. Of roles with denied sessions alone it may delete policies: expired denials."
  }
}

run "restorer_role" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts  = run.with_restore.value
    permissions_boundary = "arn:aws:iam::111111111111:policy/boundary"
  }

  assert {
    condition = jsondecode(output.trust_policies["restorer"]["ec2_instance"]).Statement == [{
      Sid       = "RestoreFunction"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::999999999999:root" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::999999999999:role/security/gdr-restore-ec2-instance" }
        StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
      }
    }]
    error_message = "The restorer role must trust the security account, narrowed to the restore function's role and the organization."
  }
  assert {
    condition = alltrue([
      aws_iam_role.member["restorer/ec2_instance"].name == "gdr-restorer-ec2-instance",
      aws_iam_role.member["restorer/ec2_instance"].path == "/security/",
      aws_iam_role.member["restorer/ec2_instance"].permissions_boundary == "arn:aws:iam::111111111111:policy/boundary",
    ])
    error_message = "The restorer role must carry the agreed name, path and boundary."
  }
  assert {
    condition = alltrue(flatten([
      for s in jsondecode(output.policies["restorer"]["ec2_instance"]).Statement : [
        for action in flatten([s.Action]) : (
          !strcontains(action, "*") && (s.Effect == "Deny" || s.Resource != "*" || can(regex("^[a-z0-9]+:Describe", action)))
        )
      ]
      ])) && length(output.policies["restorer"]["ec2_instance"]) < 6144 && alltrue([
      for action in ["SecurityGroupEgress", "SecurityGroupIngress", "CreateSecurityGroup", "RunInstances", "StartInstances", "TerminateInstances"] :
      !strcontains(output.policies["restorer"]["ec2_instance"], action)
    ])
    error_message = "The restorer policy must name its actions, use * for Describe only, and neither open a group nor start anything."
  }
  assert {
    condition = alltrue([
      for s in jsondecode(output.policies["restorer"]["ec2_instance"]).Statement :
      s.Condition == { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } } if s.Effect == "Allow" && contains(flatten([s.Action]), "iam:PassRole")
      ]) && toset(flatten([
        for s in jsondecode(output.policies["restorer"]["ec2_instance"]).Statement : [for action in flatten([s.Action]) : action if s.Effect == "Deny"]
        ])) == toset(["iam:PassRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:UntagRole"]) && toset(flatten([
        for s in jsondecode(output.policies["restorer"]["ec2_instance"]).Statement : s.Resource if s.Effect == "Deny"
      ])) == toset(concat(
      [for name in ["collector-ec2-instance", "collector-iam-principal", "monitor-ec2-instance", "monitor-iam-principal", "responder-ec2-instance", "responder-iam-principal", "restorer-ec2-instance", "quarantine"] : "arn:aws:iam::111111111111:role/security/gdr-${name}"],
      ["arn:aws:iam::999999999999:role/security/gdr-*", "arn:aws:iam::111111111111:role/aws-reserved/*", "arn:aws:iam::111111111111:role/aws-service-role/*"],
    ))
    error_message = "Roles may be passed to EC2 only, and the response's own and AWS's roles neither passed nor changed."
  }
}
