# What an apply will change in a detector that somebody else created. The plan shows a protection plan that is named for
# the first time as created, and not the status that it has today. Only modules/detector calls this module.

locals {
  wanted = merge([
    for name, feature in var.features : merge(
      { (name) = feature.status },
      { for agent, status in feature.configurations : "${name}/${agent}" => status },
    )
  ]...)
}

# A warning, because it is what the configuration asks for; once it is applied, there is none. A detector that cannot be
# read is a warning as well.
check "changes_of_the_adopted_detector" {
  data "aws_guardduty_detector" "today" {
    id = var.detector_id
  }

  assert {
    condition = alltrue(flatten([
      for feature in data.aws_guardduty_detector.today.features : [
        for key, status in merge({ (feature.name) = feature.status }, { for agent in feature.additional_configuration : "${feature.name}/${agent.name}" => agent.status }) :
        lookup(local.wanted, key, status) == status
      ]
    ]))
    error_message = "The detector ${var.detector_id} exists already, and this apply will change ${join(", ", flatten([
      for feature in data.aws_guardduty_detector.today.features : [
        for key, status in merge({ (feature.name) = feature.status }, { for agent in feature.additional_configuration : "${feature.name}/${agent.name}" => agent.status }) :
        "${key} from ${status} to ${local.wanted[key]}" if lookup(local.wanted, key, status) != status
      ]
    ]))}. Leave a protection plan out of detector.features (or set it to UNMANAGED) to leave it as it is."
  }
}
