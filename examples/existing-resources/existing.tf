# Resources that a company has already. They are created here so that the example is complete. In practice, these are
# data sources or variables.

resource "aws_kms_key" "security" {
  description             = "The security team's key."
  enable_key_rotation     = true
  deletion_window_in_days = 30

  # The statements of the output kms_key_policy_statements. Without the last one, messages of rules and alarms are
  # lost without an error.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "IamPoliciesOfThisAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:*" } }
      },
      {
        Sid       = "EventsAlarmsAndTopics"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "sns.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
      },
    ]
  })
}

resource "aws_sns_topic" "security" {
  for_each = toset(["security-notifications", "security-on-call"])

  name              = each.key
  kms_master_key_id = aws_kms_key.security.arn
}

# The module's alarms publish here. Its functions publish with their roles.
resource "aws_sns_topic_policy" "security" {
  for_each = aws_sns_topic.security

  arn = each.value.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = each.value.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_286:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_287:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_288:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_289:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_290:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_355:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_62:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV_AWS_63:a boundary grants nothing; it is the most that the module's own policies may allow
  #checkov:skip=CKV2_AWS_40:a boundary grants nothing; it is the most that the module's own policies may allow
  name        = "boundary"
  path        = "/security/"
  description = "The most that roles of the security team may do."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Anything", Effect = "Allow", Action = "*", Resource = "*" },
      {
        Sid      = "ButNotOutOfHere"
        Effect   = "Deny"
        Action   = ["organizations:*", "account:*", "iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"]
        Resource = "*"
      },
    ]
  })
}

resource "aws_s3_bucket" "evidence" {
  #checkov:skip=CKV_AWS_18:the example stands for a bucket that is looked after elsewhere
  #checkov:skip=CKV_AWS_144:the example stands for a bucket that is looked after elsewhere
  #checkov:skip=CKV2_AWS_61:evidence is kept until somebody decides that it is not needed
  #checkov:skip=CKV2_AWS_62:nothing waits for objects; the state machine knows what it wrote
  bucket        = "security-evidence-${local.account_id}-${var.region}"
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "evidence" {
  bucket = aws_s3_bucket.evidence.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "evidence" {
  bucket = aws_s3_bucket.evidence.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.security.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "evidence" {
  bucket                  = aws_s3_bucket.evidence.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
