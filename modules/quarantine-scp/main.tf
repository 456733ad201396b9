# For the management account (or a delegated administrator of Organizations): a service control policy that keeps
# everybody except the response, and the principals named, from lifting the quarantine of an IAM user or role. It
# depends on the tag that containment sets, so nobody else may set or remove that tag either. Service control policies
# do not apply to the management account's own principals, nor to service-linked roles.

data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition

  # The response's own roles, by their exact names in every account.
  response = [
    for kind in ["responder", "remediator", "restorer"] :
    "arn:${local.partition}:iam::*:role${var.iam_path}${var.name_prefix}-${kind}-iam-principal"
  ]
  anybody_else = { ArnNotLike = { "aws:PrincipalArn" = concat(local.response, var.exempt_principal_arns) } }
  quarantined  = { StringEquals = { "aws:ResourceTag/${var.name_prefix}" = "quarantined" } }

  content = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DenialStays"
        Effect    = "Deny"
        Action    = "iam:DetachUserPolicy"
        Resource  = "*"
        Condition = merge(local.anybody_else, { ArnEquals = { "iam:PolicyARN" = "arn:${local.partition}:iam::aws:policy/AWSDenyAll" } })
      },
      {
        Sid    = "UserStays"
        Effect = "Deny"
        Action = [
          "iam:CreateAccessKey",
          "iam:CreateLoginProfile",
          "iam:CreateServiceSpecificCredential",
          "iam:DeleteUserPermissionsBoundary",
          "iam:EnableMFADevice",
          "iam:PutUserPermissionsBoundary",
          "iam:ResetServiceSpecificCredential",
          "iam:UpdateAccessKey",
          "iam:UpdateLoginProfile",
          "iam:UpdateSSHPublicKey",
          "iam:UpdateServiceSpecificCredential",
          "iam:UpdateSigningCertificate",
          "iam:UpdateUser",
          "iam:UploadSSHPublicKey",
          "iam:UploadSigningCertificate",
        ]
        Resource  = "arn:${local.partition}:iam::*:user/*"
        Condition = merge(local.anybody_else, local.quarantined)
      },
      {
        Sid       = "RoleStays"
        Effect    = "Deny"
        Action    = ["iam:DeleteRolePolicy", "iam:PutRolePolicy"]
        Resource  = "arn:${local.partition}:iam::*:role/*"
        Condition = merge(local.anybody_else, local.quarantined)
      },
      {
        Sid       = "TagStays"
        Effect    = "Deny"
        Action    = ["iam:TagRole", "iam:TagUser", "iam:UntagRole", "iam:UntagUser"]
        Resource  = "*"
        Condition = merge(local.anybody_else, { "ForAnyValue:StringEquals" = { "aws:TagKeys" = [var.name_prefix, "${var.name_prefix}-incident"] } })
      },
    ]
  })
}

resource "aws_organizations_policy" "this" {
  name        = "${var.name_prefix}-quarantine"
  description = "Keeps everybody but the GuardDuty response from lifting the quarantine of an IAM user or role."
  type        = "SERVICE_CONTROL_POLICY"
  content     = local.content
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(local.content) <= 5120
      error_message = "The service control policy has ${length(local.content)} characters; AWS Organizations takes 5120. Shorten exempt_principal_arns, with * where that is safe."
    }
  }
}

resource "aws_organizations_policy_attachment" "this" {
  for_each = var.target_ids

  policy_id = aws_organizations_policy.this.id
  target_id = each.value
}
