# Internal: modules/guardduty calls this module. Its variables may change in any release.
#
# Findings of the detector (an administrator's: of all its members in this Region) as files in S3, with a key of their
# own. Policies are as in the GuardDuty User Guide, "Exporting generated GuardDuty findings to Amazon S3 buckets", and
# allow only this detector.

locals {
  # arn:<partition>:guardduty:<region>:<account>:detector/<id>
  partition   = split(":", var.detector_arn)[1]
  region      = split(":", var.detector_arn)[3]
  account_id  = split(":", var.detector_arn)[4]
  detector_id = split("/", var.detector_arn)[1]
  region_word = replace(title(replace(local.region, "-", " ")), " ", "") # EuCentral1: a Sid takes letters and digits

  bucket_name = var.create_bucket ? "${var.name_prefix}-findings-${local.account_id}-${local.region}" : split(":::", var.bucket_arn)[1]
  # The name is computed, so that the policy can be read in the plan.
  bucket_arn  = var.create_bucket ? "arn:${local.partition}:s3:::${local.bucket_name}" : var.bucket_arn
  kms_key_arn = var.create_key ? one(aws_kms_key.this[*].arn) : var.kms_key_arn
  prefix      = var.prefix == null ? "" : trim(var.prefix, "/")

  # Regions that every account has. In an opt-in Region, GuardDuty's service principal has the Region in its name.
  # Every new Region of AWS is opt-in, so this list does not grow.
  regions_of_every_account = [
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1",
    "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
  ]
  opt_in         = local.partition == "aws" && !contains(local.regions_of_every_account, local.region)
  guardduty      = { Service = local.opt_in ? "guardduty.${local.region}.amazonaws.com" : "guardduty.amazonaws.com" }
  this_detector  = { StringEquals = { "aws:SourceAccount" = local.account_id, "aws:SourceArn" = var.detector_arn } }
  bucket_objects = "${local.bucket_arn}/${local.prefix == "" ? "" : "${local.prefix}/"}*"

  bucket_statements = [
    {
      Sid       = "GuardDutyFindsTheBucket"
      Effect    = "Allow"
      Principal = local.guardduty
      Action    = "s3:GetBucketLocation"
      Resource  = local.bucket_arn
      Condition = local.this_detector
    },
    {
      Sid       = "GuardDutyWritesFindings"
      Effect    = "Allow"
      Principal = local.guardduty
      Action    = "s3:PutObject"
      Resource  = local.bucket_objects
      Condition = local.this_detector
    },
    {
      Sid       = "EncryptedOnly"
      Effect    = "Deny"
      Principal = local.guardduty
      Action    = "s3:PutObject"
      Resource  = "${local.bucket_arn}/*"
      Condition = { StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" } }
    },
    {
      Sid       = "UnderThisKeyOnly"
      Effect    = "Deny"
      Principal = local.guardduty
      Action    = "s3:PutObject"
      Resource  = "${local.bucket_arn}/*"
      Condition = { StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = local.kms_key_arn } }
    },
    {
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
  ]

  key_statement = {
    Sid       = "GuardDutyEncryptsFindings"
    Effect    = "Allow"
    Principal = local.guardduty
    Action    = "kms:GenerateDataKey"
    Resource  = "*"
    Condition = local.this_detector
  }
}

resource "aws_kms_key" "this" {
  count = var.create_key ? 1 : 0

  description             = "GuardDuty findings exported to S3 (${var.name_prefix})."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

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
      local.key_statement,
    ]
  })
}

resource "aws_kms_alias" "this" {
  count = var.create_key ? 1 : 0

  name          = "alias/${var.name_prefix}-findings"
  target_key_id = aws_kms_key.this[0].key_id
}

# GuardDuty tests the destination when it is created, and a prefix must exist by then.
resource "aws_s3_object" "prefix" {
  count = var.create_bucket && var.prefix != null ? 1 : 0

  bucket             = aws_s3_bucket.this[0].id
  key                = "${local.prefix}/"
  content            = ""
  checksum_algorithm = "SHA256" # S3 wants one where objects are locked

  depends_on = [aws_s3_bucket_server_side_encryption_configuration.this, aws_s3_bucket_policy.this]
}

resource "aws_guardduty_publishing_destination" "this" {
  detector_id      = local.detector_id
  destination_type = "S3"
  destination_arn  = local.prefix == "" ? local.bucket_arn : "${local.bucket_arn}/${local.prefix}"
  kms_key_arn      = local.kms_key_arn

  lifecycle {
    precondition {
      condition     = !var.create_bucket || var.create_key ? true : split(":", var.kms_key_arn)[3] == local.region
      error_message = "The bucket is made in ${local.region}, and kms_key_arn is a key of ${try(split(":", var.kms_key_arn)[3], "another Region")}: GuardDuty takes bucket and key of one Region. Give a key of ${local.region}, let it be made (create_key = true), or bring the bucket along as well."
    }
  }

  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_ownership_controls.this,
    aws_s3_object.prefix,
  ]
}
