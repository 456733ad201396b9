# Internal: modules/guardduty calls this module. Its variables may change in any release.
#
# Lists of addresses about which GuardDuty raises no findings (trusted) or raises findings (threat). A list is a file
# in S3: an existing one, or one that is written here from addresses.

locals {
  none = { addresses = null, location = null, format = null }
  lists = merge(
    { for name, list in var.trusted_ip_lists : "trusted/${name}" => merge(local.none, list) },
    { for name, list in var.threat_lists : "threat/${name}" => merge(local.none, list) },
  )

  locations = {
    for key, list in local.lists :
    key => list.addresses == null ? list.location : "s3://${module.files.bucket_name}/${module.files.keys[key]}"
  }
}

module "files" {
  source = "../list-files"

  kind        = "addresses"
  name_prefix = var.name_prefix
  arn_base    = var.arn_base
  lists       = { for key, list in local.lists : key => merge(list, { entries = list.addresses }) }
  tags        = var.tags
}

resource "aws_guardduty_ipset" "trusted" {
  for_each = var.trusted_ip_lists

  detector_id = var.detector_id
  name        = each.key
  format      = local.lists["trusted/${each.key}"].addresses == null ? each.value.format : "TXT"
  location    = local.locations["trusted/${each.key}"]
  activate    = true
  tags        = var.tags
}

resource "aws_guardduty_threatintelset" "threat" {
  for_each = var.threat_lists

  detector_id = var.detector_id
  name        = each.key
  format      = local.lists["threat/${each.key}"].addresses == null ? each.value.format : "TXT"
  location    = local.locations["threat/${each.key}"]
  activate    = true
  tags        = var.tags
}
