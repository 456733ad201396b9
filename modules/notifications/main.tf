# Internal: the root module calls this module. Its variables may change in any release.

locals {
  created = { for suffix, topic in var.topics : suffix => topic if topic.create }
  # Written by name, so that a first plan shows the policies that name them; the topics come first all the same.
  topic_arns = {
    for suffix in keys(local.created) :
    suffix => concat(["arn:${var.arn_base.partition}:sns:${var.arn_base.region}:${var.arn_base.account_id}:${var.name_prefix}-${suffix}"], values(aws_sns_topic.this)[*].arn)[0]
  }
  subscriptions = {
    for s in flatten([
      for suffix, topic in local.created : [for address in topic.email_addresses : { topic = suffix, address = address }]
    ]) : "${s.topic} ${s.address}" => s
  }
}

resource "aws_sns_topic" "this" {
  for_each = local.created

  name              = "${var.name_prefix}-${each.key}"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags

  # Publishers of this account are governed by their own policies. Alarms come from the CloudWatch service.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "ThisAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.arn_base.partition}:iam::${var.arn_base.account_id}:root" }
        Action    = ["sns:Publish", "sns:Subscribe", "sns:GetTopicAttributes", "sns:SetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:DeleteTopic"]
        Resource  = "arn:${var.arn_base.partition}:sns:${var.arn_base.region}:${var.arn_base.account_id}:${var.name_prefix}-${each.key}"
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:${var.arn_base.partition}:sns:${var.arn_base.region}:${var.arn_base.account_id}:${var.name_prefix}-${each.key}"
        Condition = { StringEquals = { "aws:SourceAccount" = var.arn_base.account_id } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = "arn:${var.arn_base.partition}:sns:${var.arn_base.region}:${var.arn_base.account_id}:${var.name_prefix}-${each.key}"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      ], var.budget_alerts && each.key == "notifications" ? [{
        Sid       = "Budgets"
        Effect    = "Allow"
        Principal = { Service = "budgets.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:${var.arn_base.partition}:sns:${var.arn_base.region}:${var.arn_base.account_id}:${var.name_prefix}-${each.key}"
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.arn_base.account_id }
          ArnLike      = { "aws:SourceArn" = "arn:${var.arn_base.partition}:budgets::${var.arn_base.account_id}:*" }
        }
    }] : [])
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = local.subscriptions

  topic_arn = aws_sns_topic.this[each.value.topic].arn
  protocol  = "email"
  endpoint  = each.value.address
}
