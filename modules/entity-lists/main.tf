# Lists of addresses and domains about which GuardDuty raises no findings (trusted) or raises findings (threat). AWS
# recommends them over the lists of addresses in modules/ip-lists. The AWS provider has no resource for them, so each is
# a stack of CloudFormation. Terraform sees what it changes itself, and not what somebody else changes in GuardDuty:
#   aws cloudformation detect-stack-drift --stack-name <one of stack_names>

locals {
  none = { entities = null, location = null, format = null, bucket_owner = null }
  lists = merge(
    { for name, list in var.trusted : "trusted/${name}" => merge(local.none, list, { type = "AWS::GuardDuty::TrustedEntitySet" }) },
    { for name, list in var.threat : "threat/${name}" => merge(local.none, list, { type = "AWS::GuardDuty::ThreatEntitySet" }) },
  )

  locations = {
    for key, list in local.lists :
    key => list.entities == null ? list.location : "https://${module.files.bucket_name}.s3.${var.arn_base.region}.${var.dns_suffix}/${module.files.keys[key]}"
  }
}

module "files" {
  source = "../list-files"

  kind        = "entities"
  name_prefix = var.name_prefix
  arn_base    = var.arn_base
  lists       = { for key, list in local.lists : key => merge(list, { entries = list.entities }) }
  tags        = var.tags
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
