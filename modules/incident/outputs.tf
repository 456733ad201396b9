output "region" {
  description = "The Region this is deployed to."
  value       = local.region
}

output "incident_state_machine_arn" {
  description = "ARN of the state machine that answers the acting finding types."
  value       = local.made_machine_arns.incident
}

output "notice_state_machine_arn" {
  description = "ARN of the state machine that notifies people of all other findings."
  value       = local.made_machine_arns.notice
}

output "machine_arns" {
  description = "Maps incident and notice to the ARN of the state machine. Known before the state machines exist, which need the functions."
  value       = local.machine_arns
}

output "table_name" {
  description = "Name of the incident table."
  value       = aws_dynamodb_table.incidents.name
  depends_on  = [aws_dynamodb_table_item.document]
}

output "table_arn" {
  description = "ARN of the incident table."
  value       = local.table_arn
}

output "bucket_name" {
  description = "Name of the evidence bucket."
  value       = local.bucket_name
}

output "bucket_arn" {
  description = "ARN of the evidence bucket."
  value       = local.bucket_arn
}

output "replication_policy" {
  description = "What Amazon S3 may do to replicate the evidence bucket, as JSON; null without evidence.replica."
  value       = local.replication_policy
}

output "queues" {
  description = "Maps undelivered and dead_letters to { url, arn }."
  value = {
    undelivered  = { url = aws_sqs_queue.undelivered.url, arn = local.undelivered }
    dead_letters = { url = aws_sqs_queue.dead_letters.url, arn = local.dead_letters }
  }
}

output "function_arns" {
  description = "Maps incident and watchdog to the ARN of the function."
  value       = local.function_arns
}

output "role_arns" {
  description = "Maps incident, watchdog, incident_machine, notice_machine and events to the ARN of the role."
  value = merge(
    { for name, role in aws_iam_role.function : name => role.arn },
    { for name, role in aws_iam_role.machine : "${name}_machine" => role.arn },
    { events = aws_iam_role.events.arn },
  )
}

output "function_environment" {
  description = "Environment of every function, also of the playbooks' functions."
  value       = local.function_environment
}

output "policies" {
  description = "What each function and state machine may do, as JSON."
  value = merge(
    local.function_policies,
    { for name, policy in local.machine_policies : "${name}_machine" => policy },
  )
}

output "machine_definitions" {
  description = "Maps incident and notice to the definition of the state machine, as JSON."
  value       = local.machine_definitions
}

output "event_patterns" {
  description = "Maps findings, and changes (changes-2, …; one for each playbook), to the event pattern of the rule, as JSON."
  value = merge(
    { findings = aws_cloudwatch_event_rule.notice.event_pattern },
    { for index, change in local.changes : change.name => [change.pattern, aws_cloudwatch_event_rule.changes][0] },
  )
}
