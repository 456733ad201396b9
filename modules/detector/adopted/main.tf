# What an apply will change in a detector that somebody else created. The plan shows a protection plan that is named for
# the first time as created, and not the status that it has today. Only modules/detector calls this module.

locals {
  wanted = merge([
    for name, feature in var.features : merge(
      { (name) = feature.status },
      { for conf, status in feature.configurations : "${name}/${conf}" => status },
    )
  ]...)
  # What the detector does not tell of is not in the list.
  today = merge(flatten([
    for feature in data.aws_guardduty_detector.today.features : concat(
      [{ (feature.name) = feature.status }],
      [for configuration in feature.additional_configuration : { "${feature.name}/${configuration.name}" = configuration.status }],
    )
  ])...)
  changes = [for key, status in local.wanted : "${key} from ${local.today[key]} to ${status}" if lookup(local.today, key, status) != status]
}

data "aws_guardduty_detector" "today" {
  id = var.detector_id
}

# A warning, because it is what the configuration asks for. Once it is applied, there is none.
check "changes_of_the_adopted_detector" {
  assert {
    condition     = length(local.changes) == 0
    error_message = "The detector ${var.detector_id} exists already, and this apply will change ${join(", ", local.changes)}. Leave a protection plan out of detector.features (or set it to UNMANAGED) to leave it as it is."
  }
}
