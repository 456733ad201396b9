locals {
  detector_id = var.create ? one(aws_guardduty_detector.this[*].id) : var.id
}

resource "aws_guardduty_detector" "this" {
  #checkov:skip=CKV2_AWS_3:organization-wide enablement is a matter of the delegated administrator's organization configuration
  count = var.create ? 1 : 0

  enable                       = true
  finding_publishing_frequency = var.finding_publishing_frequency
  tags                         = var.tags
}

resource "aws_guardduty_detector_feature" "this" {
  for_each = var.features

  detector_id = local.detector_id
  name        = each.key
  status      = each.value
}
