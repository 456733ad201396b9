# Internal: modules/region-forwarder and modules/responder-stackset call this module. Its variables may change in any release.
#
# Computes what a forwarder of one account and Region is, without creating any. region-forwarder creates it with Terraform,
# and responder-stackset writes it into a CloudFormation template.

locals {
  name_prefix = var.for_member_accounts.name_prefix
  bus_arn     = var.for_member_accounts.forwarder.event_bus_arn
  partition   = split(":", local.bus_arn)[1]

  # These do not depend on the Region, because region-forwarder knows it from the ARN of a rule.
  rules = { for key, rule in var.for_member_accounts.forwarder.rules : key => merge(rule, { name = "${local.name_prefix}-forward-${key}" }) }

  rule_arns  = [for rule in values(local.rules) : "arn:${local.partition}:events:${var.region}:${var.account_id}:rule/${rule.name}"]
  queue_name = "${local.name_prefix}-undelivered"
  queue_arn  = "arn:${local.partition}:sqs:${var.region}:${var.account_id}:${local.queue_name}"
}
