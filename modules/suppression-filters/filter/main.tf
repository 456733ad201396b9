# Internal: modules/suppression-filters calls this module. Its variables may change in any release.
#
# One position in the chain: the filter of one rank, or nothing.

resource "aws_guardduty_filter" "this" {
  count = var.filter == null ? 0 : 1

  detector_id = var.filter.detector_id
  name        = var.filter.name
  description = var.filter.description
  action      = "ARCHIVE"
  rank        = var.filter.rank
  tags        = var.filter.tags

  finding_criteria {
    dynamic "criterion" {
      for_each = var.filter.criteria

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
