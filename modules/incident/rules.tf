# Which rule starts which state machine or function. The rule notice matches every unarchived finding.
# The rules act match at least the types with an acting mode, or every unarchived finding where
# patterns cannot say that (config.tf). The policy inside the state machines lets exactly one of them
# answer (docs/decisions/0012).

module "patterns" {
  source = "../event-patterns"

  name_prefix = var.name_prefix
  playbooks   = keys(var.playbook_functions)
}

locals {
  # Monitoring is needed only if a playbook is in use.
  watching = length(var.playbook_functions) > 0
  # One rule for each playbook. Its address and its name stay when another playbook comes into use: only what the rule
  # matches changes.
  changes = var.watch.cloudtrail ? module.patterns.changes : []

  # The first rule has the name that it had when there was only one.
  act_rules = [for index in range(length(var.act_patterns)) : index == 0 ? "act" : "act-${index + 1}"]

  # Target => what it needs. EventBridge retries each target for a day. A "for" over a single name
  # is a condition: the target exists only if its rule does.
  rule_targets = merge(
    {
      notice           = { rule = aws_cloudwatch_event_rule.notice.name, arn = local.made_machine_arns.notice, role_arn = aws_iam_role.events.arn, dead_letter = local.undelivered }
      execution-status = { rule = aws_cloudwatch_event_rule.execution_status.name, arn = local.function_arns.watchdog, role_arn = null, dead_letter = local.undelivered }
      sweeper          = { rule = aws_cloudwatch_event_rule.sweeper.name, arn = local.function_arns.watchdog, role_arn = null, dead_letter = local.dead_letters }
      outbox           = { rule = aws_cloudwatch_event_rule.outbox.name, arn = local.function_arns.watchdog, role_arn = null, dead_letter = local.dead_letters }
    },
    {
      for index, name in local.act_rules : name => { rule = local.rule_names.act[index], arn = local.made_machine_arns.incident, role_arn = aws_iam_role.events.arn, dead_letter = local.undelivered }
    },
    {
      for name in ["watch"] : name => { rule = local.rule_names.watch, arn = local.function_arns.watchdog, role_arn = null, dead_letter = local.dead_letters }
      if local.watching
    },
    {
      for index, change in local.changes : change.name => { rule = local.rule_names.changes[index], arn = local.function_arns.watchdog, role_arn = null, dead_letter = local.undelivered }
    },
  )
}

resource "aws_cloudwatch_event_rule" "act" {
  count = length(var.act_patterns)

  name          = "${var.name_prefix}-${local.act_rules[count.index]}"
  description   = "Findings of the types that remediations switch to dry_run, approve or auto."
  event_pattern = var.act_patterns[count.index]
  tags          = var.tags

  lifecycle {
    precondition {
      condition     = length(var.act_patterns[count.index]) < 2048
      error_message = "An event pattern of the acting finding types has ${length(var.act_patterns[count.index])} characters; EventBridge takes fewer than 2048. Shorten extra_finding_types."
    }
  }
}

resource "aws_cloudwatch_event_rule" "notice" {
  name          = "${var.name_prefix}-notice"
  description   = "Every unarchived finding; the notice machine leaves alone what the act rule handles."
  event_pattern = module.patterns.findings
  tags          = var.tags
}

resource "aws_cloudwatch_event_rule" "execution_status" {
  name        = "${var.name_prefix}-execution-status"
  description = "Executions of the response that died."
  tags        = var.tags
  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      status          = ["FAILED", "TIMED_OUT", "ABORTED"]
      stateMachineArn = values(local.made_machine_arns)
    }
  })
}

resource "aws_cloudwatch_event_rule" "sweeper" {
  name                = "${var.name_prefix}-sweeper"
  description         = "Incidents that stand still."
  schedule_expression = "rate(5 minutes)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_rule" "outbox" {
  name                = "${var.name_prefix}-outbox"
  description         = "Messages that wait, and subscriptions of the topics."
  schedule_expression = "rate(1 minute)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_rule" "watch" {
  count = local.watching ? 1 : 0

  name                = "${var.name_prefix}-watch"
  description         = "Checks of containments that are due."
  schedule_expression = "rate(1 minute)"
  tags                = var.tags

  # The watchdog of an earlier release checks everything at each event: it is updated before they come every minute.
  depends_on = [aws_lambda_function.this]
}

resource "aws_cloudwatch_event_rule" "changes" {
  count = length(local.changes)

  name          = "${var.name_prefix}-${local.changes[count.index].name}"
  description   = "API calls that can undo a containment of ${local.changes[count.index].playbook}, of anybody but the response."
  event_pattern = local.changes[count.index].pattern
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rule_targets

  rule      = each.value.rule
  target_id = each.key
  arn       = each.value.arn
  role_arn  = each.value.role_arn
  input     = contains(["sweeper", "outbox"], each.key) ? jsonencode({ source = "guardduty-response.${each.key}" }) : null

  # The watchdog reads the source alone; the id tells messages in dead-letters apart. A second delivery looks once more
  # at what is due, and has nothing checked twice, because what the first one gave out is claimed.
  dynamic "input_transformer" {
    for_each = each.key == "watch" ? ["$.id"] : []

    content {
      input_paths    = { id = input_transformer.value }
      input_template = "{\"source\": \"guardduty-response.watch\", \"id\": <id>}"
    }
  }

  dead_letter_config {
    arn = each.value.dead_letter
  }
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  depends_on = [aws_iam_role_policy.events, aws_lambda_permission.watchdog]
}

resource "aws_lambda_permission" "watchdog" {
  for_each = merge(
    {
      execution-status = "${local.rule_arn_base}/${aws_cloudwatch_event_rule.execution_status.name}"
      sweeper          = "${local.rule_arn_base}/${aws_cloudwatch_event_rule.sweeper.name}"
      outbox           = "${local.rule_arn_base}/${aws_cloudwatch_event_rule.outbox.name}"
    },
    { for name in ["watch"] : name => "${local.rule_arn_base}/${local.rule_names.watch}" if local.watching },
    { for index, change in local.changes : change.name => "${local.rule_arn_base}/${local.rule_names.changes[index]}" },
  )

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["watchdog"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value
}

resource "aws_iam_role" "events" {
  name                 = "${var.name_prefix}-events"
  description          = "Starts the state machines for EventBridge."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "events" {
  name = "start"
  role = aws_iam_role.events.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Start"
      Effect   = "Allow"
      Action   = "states:StartExecution"
      Resource = values(local.made_machine_arns)
    }]
  })
}
