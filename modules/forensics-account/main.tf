# This module is deployed once, in the forensics account. It creates the key that encrypts copied snapshots, and the
# role that copies them, so that nobody in the compromised account can delete them. Snapshots stay in the instance's
# Region, and so must a key: every other Region gets a replica (modules/forensics-replica). The role serves all
# Regions, because IAM has none. The bucket for replicas of the other evidence is in bucket.tf.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  name            = "${var.name_prefix}-vault"
  slugs           = [for name in var.playbooks : replace(name, "_", "-")]
  function_roles  = [for slug in local.slugs : "arn:${local.partition}:iam::${var.security_account_id}:role${local.iam.path}${var.name_prefix}-collect-${slug}"]
  member_accounts = length(var.member_account_ids) > 0 ? sort(var.member_account_ids) : ["*"]
  member_roles = flatten([
    for account in local.member_accounts : [for slug in local.slugs : "arn:${local.partition}:iam::${account}:role${local.iam.path}${var.name_prefix}-collector-${slug}"]
  ])

  of_organization = { for key, id in { "aws:PrincipalOrgID" = var.organization_id } : key => id if id != null }

  # Copying a snapshot with a key needs these permissions, always through EC2 (Amazon EBS User Guide, "Share the KMS
  # key").
  key_use = [
    "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
  ]

  # A collector role is a condition and not a principal. As principal, its ARN would turn into an id when it is saved,
  # and the policy would be refused while the role does not exist yet (docs/decisions/0021).
  member_principal = { AWS = length(var.member_account_ids) > 0 ? [for id in sort(var.member_account_ids) : "arn:${local.partition}:iam::${id}:root"] : ["*"] }
  # The service is ec2.* because the key's Region is in its own ARN, and EC2 of another Region cannot use the key
  # anyway.
  member_condition = merge(
    { ArnLike = { "aws:PrincipalArn" = local.member_roles } },
    { StringLike = { "kms:ViaService" = "ec2.*.${data.aws_partition.current.dns_suffix}" } },
    { for operator, keys in { StringEquals = local.of_organization } : operator => keys if length(keys) > 0 },
  )

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "ThisAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "CollectorsReEncrypt"
        Effect    = "Allow"
        Principal = local.member_principal
        Action    = local.key_use
        Resource  = "*"
        Condition = local.member_condition
      },
      {
        Sid       = "CollectorsLetEbsUseIt"
        Effect    = "Allow"
        Principal = local.member_principal
        Action    = "kms:CreateGrant"
        Resource  = "*"
        Condition = merge(local.member_condition, { Bool = { "kms:GrantIsForAWSResource" = "true" } })
      },
    ], local.replication_key_statements)
  })

  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CollectorFunction"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${var.security_account_id}:root" }
      Action    = "sts:AssumeRole"
      Condition = merge(
        { ArnEquals = { "aws:PrincipalArn" = local.function_roles } },
        { for operator, keys in { StringEquals = local.of_organization } : operator => keys if length(keys) > 0 },
      )
    }]
  })
}

resource "aws_kms_key" "evidence" {
  #checkov:skip=CKV_AWS_33:a wildcard principal stands only beside the collector roles' ARNs, the organization and EC2 as the service used
  description             = "GuardDuty response: evidence snapshots of compromised instances."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  multi_region            = var.multi_region
  policy                  = local.key_policy
  tags                    = var.tags

  lifecycle {
    precondition {
      condition     = var.organization_id != null || length(var.member_account_ids) > 0
      error_message = "Name the accounts whose collectors may use the key: organization_id, member_account_ids, or both."
    }
  }
}

resource "aws_kms_alias" "evidence" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.evidence.key_id
}

resource "aws_iam_role" "vault" {
  name                 = local.name
  description          = "GuardDuty response: copies evidence snapshots shared with this account. It can delete none."
  path                 = local.iam.path
  permissions_boundary = local.iam.permissions_boundary
  assume_role_policy   = local.trust_policy
  max_session_duration = 3600
  tags                 = var.tags
}

resource "aws_iam_role_policy" "vault" {
  #checkov:skip=CKV_AWS_290:which snapshots are shared is known at run time only; each session carries a session policy
  #checkov:skip=CKV_AWS_355:describe calls have no resource ARNs
  name = "copy"
  role = aws_iam_role.vault.id
  policy = jsonencode(jsondecode(templatefile("${path.module}/copy-policy.json", {
    partition = local.partition
    # A replica has the id of its primary key, in another Region.
    key_arn = var.multi_region ? "arn:${local.partition}:kms:*:${local.account_id}:key/${aws_kms_key.evidence.key_id}" : aws_kms_key.evidence.arn
  })))
}
