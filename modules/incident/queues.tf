# undelivered: events that EventBridge could not hand to a target within a day. The reconciler (watchdog) reads it.
# dead-letters: events that the reconciler could not handle either, and events that its asynchronous invocations lost.
# People read it.

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name_prefix}-dead-letters"
  message_retention_seconds = 1209600
  kms_master_key_id         = var.kms_key_arn
  tags                      = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "${local.queue_arn_base}:${var.name_prefix}-dead-letters"
        Condition = { ArnLike = { "aws:SourceArn" = "arn:${var.partition}:events:${local.region}:${var.account_id}:rule/${var.name_prefix}-*" } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "${local.queue_arn_base}:${var.name_prefix}-dead-letters"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sqs_queue" "undelivered" {
  name                       = "${var.name_prefix}-undelivered"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 6 * local.watchdog_timeout_seconds # what Lambda asks of a queue it reads
  kms_master_key_id          = var.kms_key_arn
  tags                       = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "${local.queue_arn_base}:${var.name_prefix}-undelivered"
        Condition = { ArnLike = { "aws:SourceArn" = "arn:${var.partition}:events:${local.region}:${var.account_id}:rule/${var.name_prefix}-*" } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "${local.queue_arn_base}:${var.name_prefix}-undelivered"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# This is apart from the queue, so that the provider waits for both queues at the same time.
resource "aws_sqs_queue_redrive_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.dead_letters
    maxReceiveCount     = 3
  })
}

resource "aws_lambda_event_source_mapping" "undelivered" {
  event_source_arn        = aws_sqs_queue.undelivered.arn
  function_name           = aws_lambda_function.this["watchdog"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = var.tags

  depends_on = [aws_iam_role_policy.function]
}
