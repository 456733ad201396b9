# What a member account gets: trust, least privilege, the role of a quarantined instance.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix          = "gdr"
  security_account_id  = "999999999999"
  partition            = "aws"
  iam_path             = "/security/"
  playbooks            = ["ec2_instance", "iam_principal"]
  permissions_boundary = "arn:aws:iam::111111111111:policy/boundary"
}

run "plain" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    organization_id = "o-a1b2c3d4e5"
  }
}

run "responder_role" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = run.plain.value
  }

  assert {
    condition = jsondecode(output.trust_policies["responder"]["ec2_instance"]).Statement == [{
      Sid       = "PlaybookFunction"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::999999999999:root" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::999999999999:role/security/gdr-playbook-ec2-instance" }
        StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
      }
    }]
    error_message = "The responder role must trust the security account, narrowed to the function's role and the organization."
  }
  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.member), [aws_iam_role.quarantine]) :
      role.path == "/security/" && role.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary"
    ]) && aws_iam_role.member["responder/ec2_instance"].name == "gdr-responder-ec2-instance"
    error_message = "Every role must carry the path and the permissions boundary."
  }
  assert {
    condition = alltrue([
      aws_iam_instance_profile.quarantine.name == "gdr-quarantine",
      jsondecode(aws_iam_role_policy.quarantine.policy).Statement == [{ Sid = "Nothing", Effect = "Deny", Action = "*", Resource = "*" }],
    ])
    error_message = "The quarantine role must be denied everything."
  }
  assert {
    condition = alltrue(flatten([
      for s in jsondecode(output.policies["responder"]["ec2_instance"]).Statement : [
        for action in flatten([s.Action]) : (
          !strcontains(action, "*") && (s.Effect == "Deny" || s.Resource != "*" || can(regex("^([a-z0-9]+:Describe|cloudtrail:LookupEvents$|ecs:ListClusters$|account:ListRegions$)", action)))
        )
      ]
      ])) && !strcontains(output.policies["responder"]["ec2_instance"], "AuthorizeSecurityGroup") && length(output.policies["responder"]["ec2_instance"]) < 6144 && toset([
      for s in jsondecode(output.policies["responder"]["ec2_instance"]).Statement : jsonencode(s) if contains(flatten([s.Action]), "iam:PassRole")
      ]) == toset([jsonencode({
        Action    = "iam:PassRole"
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
        Effect    = "Allow"
        Resource  = ["arn:aws:iam::111111111111:role/security/gdr-quarantine"]
        Sid       = "ContainQuarantineRoleArnsByPassedToService"
    })])
    error_message = "The responder policy must name its actions, use * for Describe, LookupEvents, ListClusters and ListRegions only, open no port, and pass the quarantine role only."
  }
}

run "kinds" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    playbooks = ["ec2_instance"]
    restore   = ["ec2_instance"]
    terminate = ["ec2_instance"]
    remediate = ["iam_principal"]
    forensics = true
  }
}

run "kinds_of_roles" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = run.kinds.value
  }

  assert {
    condition = output.trusted_function_role_arns == {
      responder  = { ec2_instance = "arn:aws:iam::999999999999:role/security/gdr-playbook-ec2-instance" }
      collector  = { ec2_instance = "arn:aws:iam::999999999999:role/security/gdr-collect-ec2-instance" }
      monitor    = { ec2_instance = "arn:aws:iam::999999999999:role/security/gdr-monitor-function-ec2-instance" }
      remediator = { iam_principal = "arn:aws:iam::999999999999:role/security/gdr-remediate-iam-principal" }
      restorer   = { ec2_instance = "arn:aws:iam::999999999999:role/security/gdr-restore-ec2-instance" }
      terminator = { ec2_instance = "arn:aws:iam::999999999999:role/security/gdr-terminate-ec2-instance" }
    }
    error_message = "Each kind of role must trust the function of its own job alone."
  }
  assert {
    condition = alltrue([
      for kind, other in { responder = "TerminateInstances", collector = "TerminateInstances", restorer = "TerminateInstances" } :
      !strcontains(output.policies[kind]["ec2_instance"], other)
    ]) && strcontains(output.policies["terminator"]["ec2_instance"], "aws:ResourceTag/gdr")
    error_message = "Only the terminator may terminate, and only what containment has tagged."
  }
  assert {
    condition = alltrue([
      aws_iam_instance_profile.quarantine_ssm[0].name == "gdr-quarantine-ssm",
      jsondecode(aws_iam_role_policy.quarantine_ssm[0].policy).Statement[1].Effect == "Deny",
      toset(jsondecode(aws_iam_role_policy.quarantine_ssm[0].policy).Statement[0].Action) == toset(jsondecode(aws_iam_role_policy.quarantine_ssm[0].policy).Statement[1].NotAction),
      strcontains(output.policies["responder"]["ec2_instance"], "role/security/gdr-quarantine-ssm"),
      !strcontains(aws_iam_role_policy.quarantine_ssm[0].policy, "s3:"),
      !strcontains(aws_iam_role_policy.quarantine_ssm[0].policy, "ssm:GetParameter"),
    ])
    error_message = "With forensics an instance may be left with what its SSM agent calls, and be denied everything else."
  }
}

run "kinds_switched_off" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = run.plain.value
  }

  assert {
    condition     = keys(aws_iam_role.member) == ["collector/ec2_instance", "collector/iam_principal", "monitor/ec2_instance", "monitor/iam_principal", "responder/ec2_instance", "responder/iam_principal"] && length(aws_iam_role.quarantine_ssm) == 0
    error_message = "A member account must have no role that undoes, remediates, terminates or reaches SSM unless it is switched on."
  }
}

run "responder_role_of_another_release" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = merge(run.plain.value, { roles = { "terminator/iam_principal" = { name = "gdr-terminator-iam-principal", trusted_function_role_arn = "arn:aws:iam::999999999999:role/a" } } })
  }

  expect_failures = [var.for_member_accounts]
}

run "responder_role_without_the_role_of_a_quarantined_instance" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = merge(run.plain.value, { instance_roles = { quarantine_ssm = "gdr-quarantine-ssm" } })
  }

  expect_failures = [var.for_member_accounts]
}

run "responder_role_of_identity_center_that_is_not_used" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = run.plain.value
    identity_center     = true
  }

  expect_failures = [var.identity_center]
}

run "untracking" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    untrack_connections = true
  }
}

run "responder_role_untracking" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts = run.untracking.value
  }

  assert {
    condition = [
      for s in jsondecode(output.policies["responder"]["ec2_instance"]).Statement : s.Condition if strcontains(jsonencode(s.Action), "AuthorizeSecurityGroup")
    ] == [{ StringEquals = { "aws:ResourceTag/gdr" = "untrack" } }]
    error_message = "With untracking, only groups tagged untrack may be opened."
  }
}

run "responder_role_boundary" {
  command = plan

  module {
    source = "./modules/responder-role"
  }

  variables {
    for_member_accounts  = run.plain.value
    permissions_boundary = "boundary"
  }

  expect_failures = [var.permissions_boundary]
}
