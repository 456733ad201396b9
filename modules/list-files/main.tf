# Internal: modules/ip-lists and modules/entity-lists call this module. Its variables may change in any release.
#
# The files of modules/ip-lists and modules/entity-lists: what a list may be, and a private bucket with the lists that
# are written here.

locals {
  rules = {
    addresses = {
      bucket_name = "${var.name_prefix}-lists-${var.arn_base.account_id}-${var.arn_base.region}"
      name        = "[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}"
      names       = "1 to 100 letters, digits, spaces, dots, underscores and hyphens"
      scheme      = "(s3|https)"
      location    = "s3:// or https:// address of a file in S3, such as s3://bucket/list.txt"
      domains     = false
      entries     = "IPv4 addresses or ranges, such as 198.51.100.7 or 203.0.113.0/24 (never /0)"
      maximum     = { trusted = 2000, threat = 250000 }
    }
    entities = {
      bucket_name = "${var.name_prefix}-entities-${var.arn_base.account_id}-${var.arn_base.region}"
      name        = "[A-Za-z0-9-]{1,60}"
      names       = "1 to 60 letters, digits and hyphens"
      scheme      = "https"
      location    = "https:// address of a file in S3, such as https://bucket.s3.eu-central-1.amazonaws.com/list.txt"
      domains     = true
      entries     = "IPv4 addresses, ranges (never /0) and domains, such as 198.51.100.7, 203.0.113.0/24 or example.com"
      maximum     = { trusted = 1000, threat = 1000 }
    }
  }[var.kind]

  written = { for key, list in var.lists : key => join("", [for entry in list.entries : "${entry}\n"]) if list.entries != null }
}

resource "aws_s3_bucket" "lists" {
  #checkov:skip=CKV_AWS_18:the lists are public knowledge to whoever may read this configuration; nothing secret is read here
  #checkov:skip=CKV_AWS_21:every version of a list is an object of its own, named by its content; Terraform keeps the present one
  #checkov:skip=CKV_AWS_144:the lists are written from this configuration and can be written again at any time
  #checkov:skip=CKV_AWS_145:GuardDuty reads the lists, and would need a grant on every key; S3 encrypts them
  #checkov:skip=CKV2_AWS_61:the bucket holds one small object per list, and Terraform removes the one before
  #checkov:skip=CKV2_AWS_62:nothing waits for objects; GuardDuty is told the location of each list
  count = length(local.written) > 0 ? 1 : 0

  bucket        = local.rules.bucket_name
  force_destroy = true # what is in it comes from this configuration
  tags          = var.tags
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lists" {
  count = length(aws_s3_bucket.lists)

  bucket = aws_s3_bucket.lists[0].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "lists" {
  count = length(aws_s3_bucket.lists)

  bucket                  = aws_s3_bucket.lists[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "lists" {
  count = length(aws_s3_bucket.lists)

  bucket = aws_s3_bucket.lists[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# Nothing has to be allowed here. GuardDuty reads lists of addresses with its service-linked role and gives that role
# the permission itself; it reads lists of entities with the permissions of who sets them (s3:GetObject of the identity
# that applies this).
resource "aws_s3_bucket_policy" "lists" {
  count = length(aws_s3_bucket.lists)

  bucket = aws_s3_bucket.lists[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [for objects in ["", "/*"] : "arn:${var.arn_base.partition}:s3:::${local.rules.bucket_name}${objects}"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.lists]
}

# GuardDuty reads a list when its location is set, and again when the location changes. Therefore the hash of the
# content is part of the key.
resource "aws_s3_object" "list" {
  for_each = local.written

  bucket       = aws_s3_bucket.lists[0].id
  key          = "${each.key}-${substr(sha256(each.value), 0, 16)}.txt"
  content      = each.value
  content_type = "text/plain"

  depends_on = [
    aws_s3_bucket_server_side_encryption_configuration.lists,
    aws_s3_bucket_ownership_controls.lists,
    aws_s3_bucket_policy.lists,
  ]

  lifecycle {
    # The list that GuardDuty uses is deleted only after GuardDuty knows the next one.
    create_before_destroy = true
  }
}
