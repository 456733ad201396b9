# The incident record (table), and names that the files of this module share: bucket.tf (evidence), queues.tf (events
# that could not be delivered), functions.tf, machines.tf, rules.tf, alarms.tf.

locals {
  # The Region is read from an ARN that this module owns. This rule is used because it depends on nothing.
  region = split(":", aws_cloudwatch_event_rule.notice.arn)[3]

  queue_arn_base = "arn:${var.partition}:sqs:${local.region}:${var.account_id}"
  # These are names and not references, because the state machines need the functions first.
  machine_arns = {
    for name in ["incident", "notice"] :
    name => "arn:${var.partition}:states:${local.region}:${var.account_id}:stateMachine:${var.name_prefix}-${name}"
  }
  execution_arn_base = "arn:${var.partition}:states:${local.region}:${var.account_id}:execution"

  function_environment = {
    GDR_TABLE         = aws_dynamodb_table.incidents.name
    GDR_BUCKET        = local.bucket_name
    GDR_CONFIG_SHA256 = sha256(var.config_json)
    GDR_NAME_PREFIX   = var.name_prefix
    # Tokens of the global STS endpoint may not work in Regions that an account has opted into.
    AWS_STS_REGIONAL_ENDPOINTS = "regional"
  }
}

resource "aws_dynamodb_table" "incidents" {
  name         = "${var.name_prefix}-incidents"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"
  tags         = var.tags

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

  # This index is sparse: incidents in progress have the value 1, and monitored incidents have the value held. The
  # reconciler and monitoring therefore read only those.
  global_secondary_index {
    name            = "open"
    hash_key        = "open"
    range_key       = "updated_at"
    projection_type = "ALL"
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

resource "aws_dynamodb_table_item" "config" {
  table_name = aws_dynamodb_table.incidents.name
  hash_key   = aws_dynamodb_table.incidents.hash_key
  range_key  = aws_dynamodb_table.incidents.range_key
  item = jsonencode({
    pk       = { S = "CONFIG" }
    sk       = { S = "CURRENT" }
    document = { S = var.config_json }
  })

  lifecycle {
    precondition {
      condition     = length(var.config_json) < 350 * 1024
      error_message = "The switches take ${floor(length(var.config_json) / 1024)} KB as one document; a DynamoDB item holds 400 KB, so the limit is 350. Use globs instead of many exact keys, above all in account_remediations."
    }
  }
}
