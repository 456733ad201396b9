# One position in the chain: the filter of one rank, or nothing. Only modules/suppression-filters calls it.

locals {
  filter = try(var.filters[var.rank - 1], null)
}

resource "aws_guardduty_filter" "this" {
  count = length(var.filters) >= var.rank ? 1 : 0

  detector_id = var.detector_id
  name        = local.filter.name
  description = local.filter.description
  action      = "ARCHIVE"
  rank        = var.rank
  tags        = var.tags

  finding_criteria {
    dynamic "criterion" {
      for_each = local.filter.criteria

      content {
        field                 = criterion.key
        equals                = lookup(criterion.value, "equals", null)
        not_equals            = lookup(criterion.value, "not_equals", null)
        greater_than          = one(lookup(criterion.value, "greater_than", []))
        greater_than_or_equal = one(lookup(criterion.value, "greater_than_or_equal", []))
        less_than             = one(lookup(criterion.value, "less_than", []))
        less_than_or_equal    = one(lookup(criterion.value, "less_than_or_equal", []))
      }
    }
  }
}
