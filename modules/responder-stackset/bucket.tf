# CloudFormation takes 51,200 bytes of a template in a call, and 1 MB from S3. A template that is longer is an object in a
# private bucket. CloudFormation reads it there when the StackSet is created or updated, as the identity that applies, and
# keeps a copy: neither the service's role nor any member account reads the bucket, so its policy grants nothing.

data "aws_caller_identity" "current" {}

locals {
  # length() counts characters, and characters in tags may have more than one byte.
  template_bytes = length(base64encode(local.templates.roles)) / 4 * 3
  in_s3          = var.template_bucket != null || local.template_bytes > 51200
  create_bucket  = local.in_s3 && var.template_bucket == null

  bucket_name = var.template_bucket == null ? one(aws_s3_bucket.template[*].bucket) : var.template_bucket
  # The object is named after its content, so that another template is another URL, which updates the StackSet.
  template_url = local.in_s3 ? "https://${aws_s3_object.template[0].bucket}.s3.${local.dns_suffix}/${aws_s3_object.template[0].key}" : null
  dns_suffix   = startswith(var.for_member_accounts.partition, "aws-cn") ? "amazonaws.com.cn" : "amazonaws.com"
}

resource "aws_s3_bucket" "template" {
  #checkov:skip=CKV_AWS_18:holds one template, which the StackSet shows too
  #checkov:skip=CKV_AWS_21:an object is named after its content, and nothing is overwritten
  #checkov:skip=CKV_AWS_144:the template is made from the configuration
  #checkov:skip=CKV_AWS_145:the template holds no secret
  #checkov:skip=CKV2_AWS_61:the module deletes the template of before
  #checkov:skip=CKV2_AWS_62:nobody waits for a new template
  count = local.create_bucket ? 1 : 0

  bucket        = "${lower(local.name)}-template-${data.aws_caller_identity.current.account_id}"
  force_destroy = true
  tags          = var.tags

  lifecycle {
    precondition {
      condition     = length("${local.name}-template-123456789012") <= 63
      error_message = "name is too long for the bucket of the template, which would be ${lower(local.name)}-template-<account>: S3 takes 63 characters. Shorten name, or name a bucket of your own (template_bucket)."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "template" {
  count = local.create_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.template[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "template" {
  count = local.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.template[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.template[0].arn, "${aws_s3_bucket.template[0].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.template]
}

resource "aws_s3_object" "template" {
  #checkov:skip=CKV_AWS_186:the template holds no secret
  count = local.in_s3 ? 1 : 0

  bucket       = local.bucket_name
  key          = "${local.name}/${sha256(local.templates.roles)}.json"
  content      = local.templates.roles
  content_type = "application/json"
  tags         = var.tags

  # The template of before is there until the StackSet has the new one.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_s3_bucket_policy.template]
}
