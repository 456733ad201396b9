# The policies that keep a quarantine. What they deny is asked of an evaluator (policy/test_quarantine_scp*.py).

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
}

run "quarantine_policies" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    target_ids              = ["ou-ab12-cdef3456", "222222222222"]
    exempt_principal_arns   = ["arn:aws:iam::*:role/break-glass"]
    deployer_principal_arns = ["arn:aws:iam::*:role/ci/terraform", "arn:aws:sts::111122223333:federated-user/ops"]
    iam_path                = "/security/"
  }

  assert {
    condition = alltrue([
      for s in concat(jsondecode(output.content).Statement, jsondecode(output.ec2_content).Statement) :
      s.Effect == "Deny" && contains(s.Condition.ArnNotLike["aws:PrincipalArn"], "arn:aws:iam::*:role/break-glass")
    ])
    error_message = "Every statement must deny, and spare the exempt principals."
  }
  assert {
    condition = { for s in jsondecode(output.content).Statement : s.Sid => setsubtract(s.Condition.ArnNotLike["aws:PrincipalArn"], ["arn:aws:iam::*:role/break-glass"]) } == {
      for sid, names in {
        ResponseStays        = ["ci/terraform", "stacksets-exec-*", "AWSCloudFormationStackSetExecutionRole"]
        DenialStays          = ["security/gdr-re*-iam-principal"]
        BoundaryStays        = ["security/gdr-re*-iam-principal"]
        UserStays            = ["security/gdr-re*-iam-principal"]
        TagStays             = ["security/gdr-re*-iam-principal"]
        RoleStays            = ["security/gdr-re*r-*"]
        SessionsStay         = ["security/gdr-re*r-*"]
        SessionsStayAttached = ["security/gdr-re*r-*"]
        DeniedRoleStays      = ["security/gdr-re*r-*"]
        DeniedRoleTagStays   = ["security/gdr-re*r-*"]
      } : sid => toset(concat([for name in names : "arn:aws:iam::*:role/${name}"], sid == "ResponseStays" ? ["arn:aws:sts::111122223333:federated-user/ops"] : []))
    }
    error_message = "A statement must spare the roles of the response that need it, and nobody else."
  }
  assert {
    condition     = contains(jsondecode(output.content).Statement[0].Resource, "arn:aws:iam::*:role/ci/terraform") && !contains(jsondecode(output.content).Statement[0].Resource, "arn:aws:sts::111122223333:federated-user/ops")
    error_message = "A role that may change the response's roles must be protected like them; a federated user is no resource of IAM."
  }
  assert {
    condition     = length(aws_organizations_policy_attachment.this) == 2 && length(aws_organizations_policy_attachment.ec2) == 2
    error_message = "Both must be attached to each target."
  }
}

run "without_instances" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    target_ids = ["222222222222"]
    ec2        = false
  }

  assert {
    condition     = length(aws_organizations_policy.ec2) == 0 && length(aws_organizations_policy_attachment.ec2) == 0 && length(aws_organizations_policy_attachment.this) == 1
    error_message = "ec2 = false must create the policy of users and roles alone."
  }
}

# Who cannot do without deploying inline policies meanwhile
run "without_denied_roles" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    denied_roles = false
  }

  assert {
    condition     = !strcontains(output.content, "DeniedRole") && strcontains(output.content, "RoleStays")
    error_message = "denied_roles = false must leave out the statements of roles on which sessions are denied, and no other."
  }
}

run "the_longest_names_fit" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    name_prefix = "a-prefix-of-26-characters0"
    iam_path    = "/security/"
  }

  assert {
    condition     = length(output.content) <= 5120 && length(output.ec2_content) <= 5120
    error_message = "The policies must fit into what AWS Organizations takes, also with the longest prefix."
  }
}

run "too_many_exempt" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    exempt_principal_arns = [for number in range(20) : "arn:aws:iam::*:role/a-role-with-quite-a-long-name-${number}"]
  }

  expect_failures = [aws_organizations_policy.this, aws_organizations_policy.ec2]
}

# By reports of May 2026
run "more_characters" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    exempt_principal_arns = [for number in range(11) : "arn:aws:iam::*:role/a-role-with-quite-a-long-name-${number}"]
    policy_characters     = 10240
  }
}

# A session is compared by the ARN of its role.
run "sessions_are_no_principals" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    exempt_principal_arns   = ["arn:aws:sts::111122223333:assumed-role/break-glass/anna"]
    deployer_principal_arns = ["arn:aws:sts::111122223333:assumed-role/terraform/ci"]
    policy_characters       = 20480
  }

  expect_failures = [var.exempt_principal_arns, var.deployer_principal_arns, var.policy_characters]
}

run "quarantine_policy_rules" {
  command = plan

  module {
    source = "./modules/quarantine-scp"
  }

  variables {
    name_prefix              = "-"
    target_ids               = ["production"]
    exempt_principal_arns    = ["arn:aws:iam::*:role/*"]
    deployer_principal_arns  = ["arn:aws:iam::*:role/*"]
    stackset_execution_roles = ["*"]
    iam_path                 = "security"
  }

  expect_failures = [
    var.name_prefix,
    var.target_ids,
    var.exempt_principal_arns,
    var.deployer_principal_arns,
    var.stackset_execution_roles,
    var.iam_path,
  ]
}
