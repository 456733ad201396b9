# Internal: modules/detector calls this module. Its variables may change in any release.
#
# What an apply will change in a detector that somebody else created. The plan shows a protection plan that is named for
# the first time as created, and not the status that it has today.

# Not in the check, where it would be read again by each apply: then no plan would be empty.
data "aws_guardduty_detector" "today" {
  id = var.detector_id
}

locals {
  wanted = merge([
    for name, feature in var.features : merge(
      { (name) = feature.status },
      { for agent, status in feature.configurations : "${name}/${agent}" => status },
    )
  ]...)
  # Of what the detector does not tell of, nothing can be said.
  today = merge([
    for feature in data.aws_guardduty_detector.today.features : merge(
      { (feature.name) = feature.status },
      { for agent in feature.additional_configuration : "${feature.name}/${agent.name}" => agent.status },
    )
  ]...)
  changes = [for key, status in local.today : "${key} from ${status} to ${local.wanted[key]}" if lookup(local.wanted, key, status) != status]
}

# A warning, because it is what the configuration asks for. Once it is applied, there is none.
check "changes_of_the_adopted_detector" {
  assert {
    condition     = length(local.changes) == 0
    error_message = "The detector ${var.detector_id} exists already, and this apply will change ${join(", ", local.changes)}. Leave a protection plan out of detector.features (or set it to UNMANAGED) to leave it as it is."
  }
}
