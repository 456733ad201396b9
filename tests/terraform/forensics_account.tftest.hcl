# The forensics account: a key that collectors use through EC2 alone, a role that copies and deletes nothing, and a
# bucket into which the security account's evidence is replicated, and out of which it takes nothing.

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
  notifications       = { expected_subscriptions = 1 } # somebody subscribes by other means
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
      ]) if startswith(s.Sid, "Collectors")
    ]) && [for s in jsondecode(output.key_policy).Statement : s.Sid] == ["ThisAccount", "CollectorsReEncrypt", "CollectorsLetEbsUseIt", "EvidenceReplicas"]
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

# Nobody but the replication role of the security account writes here, and it can neither read, delete nor stop that
# versions are kept.
run "evidence_replica" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  override_data {
    target          = data.aws_caller_identity.current
    override_during = plan
    values          = { account_id = "333333333333" }
  }

  override_resource {
    target          = aws_kms_key.evidence
    override_during = plan
    values          = { arn = "arn:aws:kms:eu-central-1:333333333333:key/mrk-0123456789abcdef0123456789abcdef", key_id = "mrk-0123456789abcdef0123456789abcdef" }
  }

  variables {
    organization_id  = "o-a1b2c3d4e5"
    evidence_replica = { object_lock = { days = 90 }, expire_after_days = 400, force_destroy = true }
  }

  assert {
    condition = [for s in jsondecode(output.evidence_replica_policy).Statement : s if s.Effect == "Allow"] == [
      {
        Sid       = "ReplicasOfTheEvidence"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::999999999999:root" }
        Action    = ["s3:ObjectOwnerOverrideToBucketOwner", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource  = "arn:aws:s3:::gdr-evidence-replica-333333333333/incidents/*"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::999999999999:role/security/gdr-evidence-replication" }
          StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
        }
      },
      {
        Sid       = "AreVersionsKept"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::999999999999:root" }
        Action    = "s3:GetBucketVersioning"
        Resource  = "arn:aws:s3:::gdr-evidence-replica-333333333333"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::999999999999:role/security/gdr-evidence-replication" }
          StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
        }
      },
    ]
    error_message = "The bucket must let exactly the replication role replicate, and do nothing else."
  }
  assert {
    condition = one([for s in jsondecode(output.key_policy).Statement : s if s.Sid == "EvidenceReplicas"]) == {
      Sid       = "EvidenceReplicas"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::999999999999:root" }
      Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
      Resource  = "*"
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::999999999999:role/security/gdr-evidence-replication" }
        StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
        StringLike = {
          "kms:ViaService"                   = "s3.*.amazonaws.com"
          "kms:EncryptionContext:aws:s3:arn" = ["arn:aws:s3:::gdr-evidence-replica-333333333333", "arn:aws:s3:::gdr-evidence-replica-333333333333/incidents/*"]
        }
      }
    }
    error_message = "The key must serve that role through S3 alone, and for this bucket alone."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket.evidence_replica[0].bucket == "gdr-evidence-replica-333333333333",
      aws_s3_bucket.evidence_replica[0].object_lock_enabled,
      aws_s3_bucket.evidence_replica[0].force_destroy,
      aws_s3_bucket_versioning.evidence_replica[0].versioning_configuration[0].status == "Enabled",
      one(aws_s3_bucket_server_side_encryption_configuration.evidence_replica[0].rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.evidence.arn,
      aws_s3_bucket_public_access_block.evidence_replica[0].restrict_public_buckets,
      aws_s3_bucket_ownership_controls.evidence_replica[0].rule[0].object_ownership == "BucketOwnerEnforced",
      aws_s3_bucket_object_lock_configuration.evidence_replica[0].rule[0].default_retention[0].mode == "GOVERNANCE",
      aws_s3_bucket_object_lock_configuration.evidence_replica[0].rule[0].default_retention[0].days == 90,
      aws_s3_bucket_lifecycle_configuration.evidence_replica[0].rule[0].expiration[0].days == 400,
      one([for s in jsondecode(output.evidence_replica_policy).Statement : s.Condition.Bool["aws:SecureTransport"] if s.Effect == "Deny"]) == "false",
    ])
    error_message = "Replicas must be kept as the evidence is: versioned, encrypted with the account's key, private, TLS only, this account's own."
  }
  assert {
    condition = output.evidence_replica == {
      bucket_arn  = "arn:aws:s3:::gdr-evidence-replica-333333333333"
      account_id  = "333333333333"
      kms_key_arn = "arn:aws:kms:eu-central-1:333333333333:key/mrk-0123456789abcdef0123456789abcdef"
      object_lock = true
    }
    error_message = "The output must be what evidence.replica takes."
  }
}

run "replicated_by_the_response" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    evidence     = { object_lock = { days = 30 }, replica = run.evidence_replica.evidence_replica }
  }

  assert {
    condition = alltrue([
      local.config.evidence.replica == { bucket_arn = "arn:aws:s3:::gdr-evidence-replica-333333333333", account_id = "333333333333" },
      [for s in jsondecode(module.incident[0].replication_policy).Statement : s.Resource if s.Sid == "Replicate"] == ["arn:aws:s3:::gdr-evidence-replica-333333333333/incidents/*"],
      contains(one([for s in jsondecode(module.function["ec2_instance/collector"].function_role_policy).Statement : s.Action if s.Sid == "Evidence"]), "s3:GetObjectVersion"),
      local.incident_timeouts.replication == 15 * 60 + 120,
    ])
    error_message = "What the output gives must be replicated to, and the collector must be able to ask how far that is."
  }
}

run "in_the_same_account" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    evidence     = { replica = run.organization.evidence_replica }
  }

  expect_failures = [check.evidence_replica_is_elsewhere]
}

run "without_a_bucket" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    organization_id  = "o-a1b2c3d4e5"
    evidence_replica = { create = false, expire_after_days = 30, object_lock = { days = 30 } }
  }

  assert {
    condition = alltrue([
      output.evidence_replica == null,
      output.evidence_replica_policy == null,
      length(aws_s3_bucket.evidence_replica) == 0,
      length(aws_s3_bucket_object_lock_configuration.evidence_replica) == 0,
      length(aws_s3_bucket_lifecycle_configuration.evidence_replica) == 0,
      [for s in jsondecode(output.key_policy).Statement : s.Sid] == ["ThisAccount", "CollectorsReEncrypt", "CollectorsLetEbsUseIt"],
    ])
    error_message = "Without the bucket there must be nothing of it, in the key policy neither."
  }
}

run "misspelt_keys" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    evidence_replica = { object_lock = { day = 90 } }
    iam              = { paths = "/security/" }
  }

  expect_failures = [var.evidence_replica, var.iam]
}

run "replicas_not_longer_than_their_lock" {
  command = plan

  module {
    source = "./modules/forensics-account"
  }

  variables {
    organization_id  = "o-a1b2c3d4e5"
    evidence_replica = { expire_after_days = 30, object_lock = { mode = "LEGAL", days = 90.5 } }
  }

  expect_failures = [var.evidence_replica]
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
      s.Principal.AWS == ["arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:root"] if startswith(s.Sid, "Collectors")
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
