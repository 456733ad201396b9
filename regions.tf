# What other Regions and member accounts need of this deployment, and what this account's event bus accepts from them.

locals {
  event_bus_arn = "arn:${local.partition}:events:${coalesce(local.region, "none")}:${local.account_id}:event-bus/default"

  # Members forward calls that can undo a containment, and nothing else. No finding of another account reaches the
  # rules here (a compromised account could forward any finding), and no event of theirs that is not CloudTrail's. AWS
  # refuses PutEvents with a source of its own, so an event with such a source was sent by an AWS service in that
  # account.
  event_bus_statement = {
    Sid       = "ChangesInMemberAccounts"
    Effect    = "Allow"
    Principal = "*"
    Action    = "events:PutEvents"
    Resource  = local.event_bus_arn
    Condition = {
      StringEquals = {
        "aws:PrincipalOrgID" = var.organization_id
        "events:detail-type" = "AWS API Call via CloudTrail"
      }
      ArnLike = { "aws:PrincipalArn" = "arn:${local.partition}:iam::*:role${local.iam_settings.path}${var.name_prefix}-forwarder-*" }
    }
  }
}

resource "aws_cloudwatch_event_bus_policy" "default" {
  count = var.create && local.event_forwarding_settings.from_organization && local.event_forwarding_settings.manage_policy ? 1 : 0

  event_bus_name = "default"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.event_bus_statement], [for statement in local.event_forwarding_settings.more_statements : jsondecode(statement)])
  })
}
