# Restore: nothing of it unless switched on; then a function, a role, and a role in the member that can undo and nothing else.

mock_provider "aws" {
  source          = "./tests/unit/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
  iam         = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
}

run "restore_off" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
  }

  assert {
    condition     = length(module.restore) == 0 && length(output.restore_function_arns) == 0 && length(output.restorer_trust) == 0
    error_message = "Restore must have no function and no role unless it is switched on."
  }
}

run "restore_off_with_create" {
  command = plan

  variables {
    create    = false
    playbooks = { ec2_instance = { restore = true } }
  }

  assert {
    condition     = length(module.restore) == 0
    error_message = "create = false must make nothing."
  }
}

run "restore_on" {
  command = plan

  variables {
    playbooks = { ec2_instance = { restore = true } }
  }

  assert {
    condition     = keys(module.restore) == ["ec2_instance"] && length(module.playbook) == 0 && length(output.restore_function_arns) == 1
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
    playbooks = { ec2_instance = { reattach_auto_scaling = true } }
  }

  expect_failures = [var.playbooks]
}

run "restore_function" {
  command = plan

  module {
    source = "./modules/restore"
  }

  variables {
    playbook    = "ec2_instance"
    zip         = "lambda_src/dist/restore_ec2_instance.zip"
    environment = { GDR_TABLE = "gdr-incidents", GDR_BUCKET = "b", GDR_CONFIG_SHA256 = "0", GDR_NAME_PREFIX = "gdr" }
    table_arn   = "arn:aws:dynamodb:eu-central-1:111111111111:table/gdr-incidents"
    bucket_arn  = "arn:aws:s3:::b"
    kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    topic_arns = {
      notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
      escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-escalations"
    }
    organization_id    = "o-a1b2c3d4e5"
    arn_base           = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    functions          = { architecture = "x86_64", memory_size = 1024, vpc = { subnet_ids = [], security_group_ids = [] } }
    log_retention_days = 30
  }

  assert {
    condition = alltrue([
      aws_lambda_function.this.function_name == "gdr-restore-ec2-instance",
      aws_lambda_function.this.handler == "guardduty_response.handlers.restore.handler",
      aws_lambda_function.this.timeout == 120,
      aws_lambda_function.this.environment[0].variables["GDR_RESPONDER_ROLE"] == "security/gdr-restorer-ec2-instance",
      aws_lambda_function.this.environment[0].variables["GDR_ESCALATION_TOPIC_ARN"] == "arn:aws:sns:eu-central-1:111111111111:gdr-escalations",
      aws_iam_role.this.name == "gdr-restore-ec2-instance",
      aws_iam_role.this.path == "/security/",
      aws_iam_role.this.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary",
      aws_cloudwatch_metric_alarm.errors.alarm_actions == toset(["arn:aws:sns:eu-central-1:111111111111:gdr-notifications"]),
    ])
    error_message = "The restore function must carry the agreed names, path, boundary and environment."
  }
  assert {
    condition = [for s in jsondecode(output.function_role_policy).Statement : s if strcontains(jsonencode(s.Action), "sts:")] == [{
      Sid       = "OwnRestorerRole"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Resource  = "arn:aws:iam::*:role/security/gdr-restorer-ec2-instance"
      Condition = { StringEquals = { "aws:ResourceOrgID" = "o-a1b2c3d4e5" } }
    }]
    error_message = "The function must be able to assume the restorer role only, inside the organization only."
  }
  assert {
    condition = alltrue([
      for forbidden in ["lambda:", "states:StartExecution", "s3:GetObject", "ec2:", "\"iam:"] : !strcontains(output.function_role_policy, forbidden)
      ]) && [for s in jsondecode(output.function_role_policy).Statement : s.Condition if strcontains(jsonencode(s.Action), "DeleteItem")] == [
      { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = "RESOURCE#*" } }
    ]
    error_message = "The restore function may do nothing itself, and delete leases only."
  }
}

run "restorer_role_off" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    security_account_id = "999999999999"
  }

  assert {
    condition     = length(aws_iam_role.restorer) == 0 && length(output.restorer_policies) == 0
    error_message = "A member account must have no restorer role unless it is switched on."
  }
  assert {
    condition = alltrue([
      for action in ["RegisterTargets", "AssociateAddress", "AttachInstances", "ExitStandby", "DeleteRolePolicy", "DeleteTags"] :
      !strcontains(output.responder_policies["ec2_instance"], action)
    ])
    error_message = "The role that contains must not be able to undo what it did."
  }
}

run "restorer_role" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    security_account_id = "999999999999"
    organization_id     = "o-a1b2c3d4e5"
    restore             = ["ec2_instance"]
  }

  assert {
    condition = jsondecode(output.restorer_trust_policies["ec2_instance"]).Statement == [{
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
      aws_iam_role.restorer["ec2_instance"].name == "gdr-restorer-ec2-instance",
      aws_iam_role.restorer["ec2_instance"].path == "/security/",
      aws_iam_role.restorer["ec2_instance"].permissions_boundary == "arn:aws:iam::111111111111:policy/boundary",
    ])
    error_message = "The restorer role must carry the agreed name, path and boundary."
  }
  assert {
    condition = alltrue(flatten([
      for s in jsondecode(output.restorer_policies["ec2_instance"]).Statement : [
        for action in flatten([s.Action]) : (
          !strcontains(action, "*") && (s.Effect == "Deny" || s.Resource != "*" || can(regex("^[a-z0-9]+:Describe", action)))
        )
      ]
      ])) && length(output.restorer_policies["ec2_instance"]) < 6144 && alltrue([
      for action in ["SecurityGroupEgress", "SecurityGroupIngress", "CreateSecurityGroup", "RunInstances", "StartInstances", "TerminateInstances"] :
      !strcontains(output.restorer_policies["ec2_instance"], action)
    ])
    error_message = "The restorer policy must name its actions, use * for Describe only, and neither open a group nor start anything."
  }
  assert {
    condition = alltrue([
      for s in jsondecode(output.restorer_policies["ec2_instance"]).Statement :
      s.Condition == { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } } if s.Effect == "Allow" && contains(flatten([s.Action]), "iam:PassRole")
      ]) && toset(flatten([
        for s in jsondecode(output.restorer_policies["ec2_instance"]).Statement : [for action in flatten([s.Action]) : action if s.Effect == "Deny"]
      ])) == toset(["iam:PassRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"]) && alltrue([
      for part in ["role/gdr-*", "role/*/gdr-*", "role/aws-reserved/*", "role/aws-service-role/*"] : strcontains(output.restorer_policies["ec2_instance"], part)
    ])
    error_message = "Roles may be passed to EC2 only, and the response's own and AWS's roles neither passed nor changed."
  }
}

run "restorer_role_rules" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    security_account_id = "999999999999"
    restore             = ["s3_bucket"]
  }

  expect_failures = [var.restore]
}
