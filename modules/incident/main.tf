# Internal: the root module calls this module. Its variables may change in any release.
#
# The incident record (table), and names that the files of this module share: bucket.tf (evidence), queues.tf (events
# that could not be delivered), functions.tf, machines.tf, rules.tf, alarms.tf.

# This names the provider's Region, and asks nobody.
data "aws_service" "here" {
  service_id = "dynamodb"
}

locals {
  region = data.aws_service.here.region

  # ARNs are written by name, so that a first plan shows policies and definitions. Each also names its resource, which
  # comes first then, as before.
  queue_arn_base = "arn:${var.partition}:sqs:${local.region}:${var.account_id}"
  table_arn      = ["arn:${var.partition}:dynamodb:${local.region}:${var.account_id}:table/${var.name_prefix}-incidents", aws_dynamodb_table.incidents.arn][0]
  undelivered    = ["${local.queue_arn_base}:${var.name_prefix}-undelivered", aws_sqs_queue.undelivered.arn][0]
  dead_letters   = ["${local.queue_arn_base}:${var.name_prefix}-dead-letters", aws_sqs_queue.dead_letters.arn][0]
  function_arns = {
    for name, function_name in local.function_names :
    name => concat(["arn:${var.partition}:lambda:${local.region}:${var.account_id}:function:${function_name}"], values(aws_lambda_function.this)[*].arn)[0]
  }
  # Of machines that are there; machine_arns is for what they need first.
  made_machine_arns = { for name, arn in local.machine_arns : name => concat([arn], values(aws_sfn_state_machine.this)[*].arn)[0] }
  rule_names = {
    act     = [for name in local.act_rules : concat(["${var.name_prefix}-${name}"], aws_cloudwatch_event_rule.act[*].name)[0]]
    watch   = concat(["${var.name_prefix}-watch"], aws_cloudwatch_event_rule.watch[*].name)[0]
    changes = [for change in local.changes : concat(["${var.name_prefix}-${change.name}"], aws_cloudwatch_event_rule.changes[*].name)[0]]
  }
  rule_arn_base      = "arn:${var.partition}:events:${local.region}:${var.account_id}:rule"
  log_group_arn_base = "arn:${var.partition}:logs:${local.region}:${var.account_id}:log-group"
  # These are names and not references, because the state machines need the functions first.
  machine_arns = {
    for name in ["incident", "notice"] :
    name => "arn:${var.partition}:states:${local.region}:${var.account_id}:stateMachine:${var.name_prefix}-${name}"
  }
  execution_arn_base = "arn:${var.partition}:states:${local.region}:${var.account_id}:execution"

  function_environment = {
    GDR_TABLE  = aws_dynamodb_table.incidents.name
    GDR_BUCKET = local.bucket_name
    # The hash of the item that holds the document, so that each function is updated after the new
    # item was made and before the old one goes. The hash itself is known at plan.
    GDR_CONFIG_SHA256 = [for item in [aws_dynamodb_table_item.document] : sha256(var.config_json)][0]
    GDR_NAME_PREFIX   = var.name_prefix
    # single messages of a topic in a minute; what comes beyond goes out in digests
    GDR_MESSAGES_A_MINUTE = tostring(var.messages_a_minute)
    # Tokens of the global STS endpoint may not work in Regions that an account has opted into.
    AWS_STS_REGIONAL_ENDPOINTS = "regional"
    # minutes between two checks of a containment, by its age
    GDR_MONITOR_INTERVALS = jsonencode({ first_day = var.watch.first_day_minutes, first_week = var.watch.first_week_minutes, later = var.watch.later_minutes })
  }
}

resource "aws_dynamodb_table" "incidents" {
  name         = "${var.name_prefix}-incidents"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"
  tags         = var.tags

  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "pk"
    type = "S"
  }
  attribute {
    name = "sk"
    type = "S"
  }
  attribute {
    name = "open"
    type = "S"
  }
  attribute {
    name = "updated_at"
    type = "S"
  }
  attribute {
    name = "outbox"
    type = "S"
  }
  attribute {
    name = "written_at"
    type = "S"
  }
  attribute {
    name = "due_shard"
    type = "S"
  }
  attribute {
    name = "due_at"
    type = "S"
  }

  # This index is sparse: incidents in progress have the values 1#0 to 1#7, and monitored incidents have held#0 to
  # held#7. The reconciler and monitoring therefore read only those, and a burst is spread.
  global_secondary_index {
    name               = "incidents"
    hash_key           = "open"
    range_key          = "updated_at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["incident_id", "account_id", "mode", "playbook", "targets", "status", "execution", "opened_at", "unwatched"]
  }

  # This index is sparse, too: it has the messages that were not sent yet, with what a digest says of each. The hash key
  # is a number from 0 to 7, so that a burst is spread (docs/decisions/0031).
  global_secondary_index {
    name               = "outbox"
    hash_key           = "outbox"
    range_key          = "written_at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["topic", "incident_id", "reason", "event", "status", "subject", "attributes", "actors", "resource", "group", "hold_until", "sending_until", "tries", "error"]
  }

  # This index is sparse: it has the containments that are monitored, by the time of their next check. The hash key is a
  # number from 0 to 7 by the resource's ARN, so that no partition takes every check (docs/decisions/0032).
  global_secondary_index {
    name               = "due"
    hash_key           = "due_shard"
    range_key          = "due_at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["arn", "generation", "account_id", "region", "playbook", "opened_at", "claimed_until"]
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

# The configuration lies under its own hash. A change replaces the item: the new item is made before
# the functions learn its hash, and the old one goes after all of them have (docs/decisions/0007).
resource "terraform_data" "config" {
  triggers_replace = var.config_json

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = length(var.config_json) < 350 * 1024
      error_message = "The switches take ${floor(length(var.config_json) / 1024)} KB as one document; a DynamoDB item holds 400 KB, so the limit is 350. Use globs instead of many exact keys, above all in account_remediations."
    }
  }
}

resource "aws_dynamodb_table_item" "document" {
  table_name = aws_dynamodb_table.incidents.name
  hash_key   = aws_dynamodb_table.incidents.hash_key
  range_key  = aws_dynamodb_table.incidents.range_key
  # The id makes the key new in each replacement. A document that depends on something unknown is
  # replaced although it may turn out to be the same, and two items need two keys.
  item = jsonencode({
    pk       = { S = "CONFIG" }
    sk       = { S = "${sha256(var.config_json)}#${terraform_data.config.id}" }
    document = { S = var.config_json }
  })

  lifecycle {
    create_before_destroy = true
    replace_triggered_by  = [terraform_data.config]
  }
}

# Where earlier releases kept the document. It stays as it was: their functions read it until this
# apply has updated them, and an apply of an earlier release updates it.
resource "aws_dynamodb_table_item" "config" {
  table_name = aws_dynamodb_table.incidents.name
  hash_key   = aws_dynamodb_table.incidents.hash_key
  range_key  = aws_dynamodb_table.incidents.range_key
  item = jsonencode({
    pk       = { S = "CONFIG" }
    sk       = { S = "CURRENT" }
    document = { S = "{}" }
  })

  lifecycle {
    ignore_changes = [item]
  }
}

# What is read again before each change. It depends on nothing but the table, so that paused = true
# works at once, whatever else an apply has to do. People may add an item CONTROL/OPERATOR.
resource "aws_dynamodb_table_item" "control" {
  table_name = aws_dynamodb_table.incidents.name
  hash_key   = aws_dynamodb_table.incidents.hash_key
  range_key  = aws_dynamodb_table.incidents.range_key
  item = jsonencode({
    pk            = { S = "CONTROL" }
    sk            = { S = "TERRAFORM" }
    paused        = { BOOL = var.paused }
    config_sha256 = { S = sha256(var.config_json) }
  })
}
