# The forensics account: a key that collectors use through EC2 alone, and a role that copies and deletes nothing.

mock_provider "aws" {
  source          = "./tests/unit/mocks"
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
}

variables {
  name_prefix         = "gdr"
  security_account_id = "999999999999"
  iam                 = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
}

run "organization" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    organization_id = "o-a1b2c3d4e5"
  }

  assert {
    condition = jsondecode(output.trust_policy).Statement == [{
      Sid       = "CollectorFunction"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::999999999999:root" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = ["arn:aws:iam::999999999999:role/security/gdr-collect-ec2-instance"] }
        StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
      }
    }]
    error_message = "The vault role must trust the security account, narrowed to the collector function's role and the organization."
  }
  assert {
    condition = alltrue([
      for s in jsondecode(output.key_policy).Statement : alltrue([
        s.Condition.StringLike["kms:ViaService"] == "ec2.*.amazonaws.com",
        s.Condition.StringEquals["aws:PrincipalOrgID"] == "o-a1b2c3d4e5",
        s.Condition.ArnLike["aws:PrincipalArn"] == ["arn:aws:iam::*:role/security/gdr-collector-ec2-instance"],
      ]) if s.Sid != "ThisAccount"
    ]) && length(jsondecode(output.key_policy).Statement) == 3
    error_message = "Members' use of the key must be bound to the collector roles, the organization and EC2."
  }
  assert {
    condition = alltrue([
      for s in jsondecode(output.key_policy).Statement : try(s.Condition.Bool["kms:GrantIsForAWSResource"], "") == "true"
      if contains(flatten([s.Action]), "kms:CreateGrant")
    ])
    error_message = "Grants must be for AWS services alone."
  }
  assert {
    condition     = !strcontains(output.copy_policy, "Delete") && !strcontains(output.copy_policy, "Modify") && !strcontains(output.copy_policy, "\"ec2:*\"")
    error_message = "The vault role must be able to delete, share or change nothing."
  }
  assert {
    condition     = aws_iam_role.vault.name == "gdr-vault" && aws_iam_role.vault.path == "/security/" && aws_iam_role.vault.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary"
    error_message = "The role must carry its name, the path and the permissions boundary."
  }
  assert {
    condition     = output.forensics_account.copy_role_name == "security/gdr-vault" && output.forensics_account.account_id == "111111111111"
    error_message = "The output must be what evidence.forensics_account takes."
  }
  assert {
    condition     = aws_kms_key.evidence.enable_key_rotation && aws_kms_key.evidence.deletion_window_in_days == 30
    error_message = "The key must rotate and must not be deletable quickly."
  }
}

run "named_accounts" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    member_account_ids = ["222222222222", "333333333333"]
  }

  assert {
    condition = alltrue([
      for s in jsondecode(output.key_policy).Statement :
      s.Principal.AWS == ["arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:root"] if s.Sid != "ThisAccount"
    ])
    error_message = "Named accounts must be the only principals."
  }
}

run "nobody_named" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  expect_failures = [aws_kms_key.evidence]
}
