# Lists of addresses and domains about which GuardDuty raises no findings (trusted) or raises findings (threat). AWS
# recommends them over the lists of addresses in modules/ip-lists. The AWS provider has no resource for them, so each is
# a stack of CloudFormation. Terraform sees what it changes itself, and not what somebody else changes in GuardDuty:
#   aws cloudformation detect-stack-drift --stack-name <one of stack_names>

locals {
  lists = merge(
    { for name, list in var.trusted : "trusted/${name}" => merge(list, { type = "AWS::GuardDuty::TrustedEntitySet" }) },
    { for name, list in var.threat : "threat/${name}" => merge(list, { type = "AWS::GuardDuty::ThreatEntitySet" }) },
  )
  written     = { for key, list in local.lists : key => join("", [for entity in list.entities : "${entity}\n"]) if list.entities != null }
  bucket_name = "${var.name_prefix}-entities-${var.arn_base.account_id}-${var.arn_base.region}"

  # GuardDuty reads a list when its location is set, and again when the location changes. Therefore the hash of the
  # content is part of the key.
  locations = {
    for key, list in local.lists :
    key => list.entities == null ? list.location : "https://${aws_s3_object.list[key].bucket}.s3.${var.arn_base.region}.${var.dns_suffix}/${aws_s3_object.list[key].key}"
  }
}

resource "aws_s3_bucket" "lists" {
  #checkov:skip=CKV_AWS_18:the lists are public knowledge to whoever may read this configuration; nothing secret is read here
  #checkov:skip=CKV_AWS_21:every version of a list is an object of its own, named by its content; Terraform keeps the present one
  #checkov:skip=CKV_AWS_144:the lists are written from this configuration and can be written again at any time
  #checkov:skip=CKV_AWS_145:GuardDuty would need a grant on every key; S3 encrypts the lists
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

# GuardDuty reads an entity list with the permissions of who sets it (s3:GetObject of the identity that applies this), so
# nothing has to be allowed here.
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

resource "aws_cloudformation_stack" "list" {
  #checkov:skip=CKV_AWS_124:a stack of one list, made and changed by Terraform, which reports what fails
  for_each = local.lists

  name = "${var.name_prefix}-entities-${replace(each.key, "/", "-")}"
  template_body = jsonencode({
    Description = "GuardDuty entity list ${each.key}, of Terraform"
    Resources = {
      List = {
        Type = each.value.type
        Properties = merge(
          {
            Activate   = true
            DetectorId = var.detector_id
            Format     = each.value.entities == null ? each.value.format : "TXT"
            Location   = local.locations[each.key]
            Name       = split("/", each.key)[1]
            Tags       = [for name, value in var.tags : { Key = name, Value = value }]
          },
          # Another account's bucket is refused, unless somebody says whose it is.
          { for name, value in { ExpectedBucketOwner = each.value.entities == null ? each.value.bucket_owner : var.arn_base.account_id } : name => value if value != null },
        )
      }
    }
    Outputs = { Id = { Value = { Ref = "List" } } }
  })
  on_failure = "DELETE"
  tags       = var.tags
}
