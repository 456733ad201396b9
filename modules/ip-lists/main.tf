# Lists of addresses about which GuardDuty raises no findings (trusted) or raises findings (threat). A list is a file
# in S3: an existing one, or one that is written here from addresses.

locals {
  lists = merge(
    { for name, list in var.trusted_ip_lists : "trusted/${name}" => list },
    { for name, list in var.threat_lists : "threat/${name}" => list },
  )
  written     = { for key, list in local.lists : key => join("", [for address in list.addresses : "${address}\n"]) if list.addresses != null }
  bucket_name = "${var.name_prefix}-lists-${var.arn_base.account_id}-${var.arn_base.region}"

  # GuardDuty reads a list when its location is set, and again when the location changes. Therefore the hash of the
  # content is part of the key.
  locations = {
    for key, list in local.lists :
    key => list.addresses == null ? list.location : "s3://${aws_s3_object.list[key].bucket}/${aws_s3_object.list[key].key}"
  }
}

resource "aws_s3_bucket" "lists" {
  #checkov:skip=CKV_AWS_18:the lists are public knowledge to whoever may read this configuration; nothing secret is read here
  #checkov:skip=CKV_AWS_21:every version of a list is an object of its own, named by its content; Terraform keeps the present one
  #checkov:skip=CKV_AWS_144:the lists are written from this configuration and can be written again at any time
  #checkov:skip=CKV_AWS_145:GuardDuty reads lists with its service-linked role, which would need a grant on every key; S3 encrypts them
  #checkov:skip=CKV2_AWS_61:the bucket holds one small object per list, and Terraform removes the one before
  #checkov:skip=CKV2_AWS_62:nothing waits for objects; GuardDuty is told the location of each list
  count = length(local.written) > 0 ? 1 : 0

  bucket        = local.bucket_name
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

# GuardDuty reads with its service-linked role and gives that role the permission itself, so nothing has to be allowed
# here.
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
      Resource  = ["arn:${var.arn_base.partition}:s3:::${local.bucket_name}", "arn:${var.arn_base.partition}:s3:::${local.bucket_name}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.lists]
}

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

resource "aws_guardduty_ipset" "trusted" {
  for_each = var.trusted_ip_lists

  detector_id = var.detector_id
  name        = each.key
  format      = each.value.addresses == null ? each.value.format : "TXT"
  location    = local.locations["trusted/${each.key}"]
  activate    = true
  tags        = var.tags
}

resource "aws_guardduty_threatintelset" "threat" {
  for_each = var.threat_lists

  detector_id = var.detector_id
  name        = each.key
  format      = each.value.addresses == null ? each.value.format : "TXT"
  location    = local.locations["threat/${each.key}"]
  activate    = true
  tags        = var.tags
}
