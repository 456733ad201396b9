# The forensics account: a key that collectors use through EC2 alone, and a role that copies and deletes nothing.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  override_resource {
    target = aws_kms_key.evidence
    values = { arn = "arn:aws:kms:eu-central-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef", key_id = "mrk-0123456789abcdef0123456789abcdef" }
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
    condition     = output.forensics_account.copy_role_name == "gdr-vault" && output.forensics_account.account_id == "111111111111"
    error_message = "The output must be what evidence.forensics_account takes."
  }
  assert {
    condition = aws_kms_key.evidence.multi_region && alltrue([
      for s in jsondecode(output.copy_policy).Statement : (
        startswith(flatten([s.Action])[0], "kms:") ? s.Resource == "arn:aws:kms:*:111111111111:key/mrk-0123456789abcdef0123456789abcdef" :
        s.Resource == "*" || s.Resource == "arn:aws:ec2:*:*:snapshot/*"
      )
    ])
    error_message = "One role copies in every Region: the key must be a multi-Region one, and the policy name no Region."
  }
  assert {
    condition     = aws_kms_key.evidence.enable_key_rotation && aws_kms_key.evidence.deletion_window_in_days == 30
    error_message = "The key must rotate and must not be deletable quickly."
  }
}

# What the output gives is what the root takes, and the role it then allows is the one that was made: with a path, too.
run "handed_to_the_response" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    evidence     = { forensics_account = run.organization.forensics_account }
  }

  assert {
    condition = [
      for s in jsondecode(module.function["ec2_instance/collector"].function_role_policy).Statement : s.Resource
      if s.Sid == "CopyRoleOfTheForensicsAccount"
    ] == ["arn:aws:iam::111111111111:role/security/gdr-vault"]
    error_message = "The collector's function must be allowed to assume the vault role where it is."
  }
  assert {
    condition = alltrue([
      local.config.responder.role_path == "/security/",
      local.config.evidence.forensics_account.copy_role_name == "gdr-vault",
      local.config.evidence.forensics_account.kms_key_arn == "arn:aws:kms:eu-central-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef",
    ])
    error_message = "The functions must be told the role's path and its name apart, as they put them together."
  }
}

run "in_another_region" {
  command = plan

  module {
    source = "./modules/forensics-replica"
  }

  variables {
    primary = run.organization.for_replicas
    tags    = { region = "eu-west-1" }
  }

  assert {
    condition = alltrue([
      aws_kms_replica_key.evidence.primary_key_arn == run.organization.forensics_account.kms_key_arn,
      aws_kms_replica_key.evidence.policy == run.organization.key_policy,
      aws_kms_replica_key.evidence.deletion_window_in_days == 30,
      aws_kms_replica_key.evidence.tags == tomap({ region = "eu-west-1" }),
      aws_kms_alias.evidence.name == "alias/gdr-vault",
    ])
    error_message = "A replica must be of that key, under the same policy and alias, and not deletable quickly."
  }
}

run "of_one_region" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    organization_id = "o-a1b2c3d4e5"
    multi_region    = false
  }

  override_resource {
    target          = aws_kms_key.evidence
    override_during = plan
    values          = { arn = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000" }
  }

  assert {
    condition = !aws_kms_key.evidence.multi_region && alltrue([
      for s in jsondecode(output.copy_policy).Statement : s.Resource == "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
      if startswith(flatten([s.Action])[0], "kms:")
    ])
    error_message = "A key of one Region must be named exactly."
  }
}

run "no_replica_of_a_key_of_one_region" {
  command = plan

  module {
    source = "./modules/forensics-replica"
  }

  variables {
    primary = run.of_one_region.for_replicas
  }

  expect_failures = [var.primary]
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
