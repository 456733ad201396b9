output "effective_policy" {
  description = "Every known finding type => { mode, key that decided, scope, playbook, accounts where it is otherwise (a key of their own; the management account, where nothing acts), note }. Read it in the plan of a pull request."
  value       = local.effective_policy

  precondition {
    condition     = length(local.policy_errors) == 0
    error_message = "The switches do not say what you mean:\n- ${join("\n- ", local.policy_errors)}"
  }
}

output "config_sha256" {
  description = "SHA-256 of the config document; the functions refuse any other."
  value       = local.config_sha256
}

output "act_event_pattern" {
  description = "Event pattern of rule 1 (null when nothing acts)."
  value       = local.act_pattern
}

output "detector_id" {
  description = "Id of the GuardDuty detector."
  value       = try(module.detector[0].id, null)
}

output "incident_state_machine_arn" {
  description = "ARN of the machine that answers the acting finding types."
  value       = try(module.incident[0].incident_state_machine_arn, null)
}

output "notice_state_machine_arn" {
  description = "ARN of the machine that tells people of all other findings."
  value       = try(module.incident[0].notice_state_machine_arn, null)
}

output "table_name" {
  description = "Name of the incident table."
  value       = try(module.incident[0].table_name, null)
}

output "evidence_bucket" {
  description = "Name of the evidence bucket."
  value       = try(module.incident[0].bucket_name, null)
}

output "notifications_topic_arn" {
  description = "Topic people are told on."
  value       = local.topic_arns.notifications
}

output "escalations_topic_arn" {
  description = "Topic of what must not wait; the notifications topic when there is no other."
  value       = local.topic_arns.escalations
}

output "undelivered_queue_url" {
  description = "Events EventBridge could not deliver; the watchdog reads it."
  value       = try(module.incident[0].queues.undelivered.url, null)
}

output "undelivered_queue_arn" {
  description = "ARN of the queue of undelivered events."
  value       = try(module.incident[0].queues.undelivered.arn, null)
}

output "dead_letters_queue_url" {
  description = "What nothing could handle; people read it."
  value       = try(module.incident[0].queues.dead_letters.url, null)
}

output "dead_letters_queue_arn" {
  description = "ARN of the queue of dead letters."
  value       = try(module.incident[0].queues.dead_letters.arn, null)
}

output "kms_key_arn" {
  description = "The key that encrypts everything, created here or brought along."
  value       = var.create ? local.kms_key_arn : null
}

output "kms_key_policy_statements" {
  description = "JSON list of the statements that a key brought along (kms.key_arn) needs beside its owner's; those of the module's own key. The key of a topic brought along (topic_kms_key_arn) needs EventsAlarmsAndTopics and, with a budget, BudgetsToOneTopic. Without them log groups are refused, and messages are lost in silence; as they name the Region, they are known only once something is made here: examples/existing-resources has them written out for a first apply."
  value = !var.create ? null : jsonencode(concat(local.key_statements, [for statement in local.budgets_key_statements : merge(statement, {
    Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = var.notifications.create_topic ? local.own_topic_arn : var.notifications.topic_arn } }
  })]))
}

output "function_arns" {
  description = "incident and watchdog => function ARN."
  value       = try(module.incident[0].function_arns, {})
}

output "role_arns" {
  description = "incident, watchdog, incident_machine, notice_machine and events => role ARN."
  value       = try(module.incident[0].role_arns, {})
}

output "playbook_function_arns" {
  description = "Playbook in use => ARN of the function that contains."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "playbook" }
}

output "playbook_role_arns" {
  description = "Playbook in use => ARN of that function's role."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_role_arn if local.functions[key].job == "playbook" }
}

output "collector_function_arns" {
  description = "Playbook in use => ARN of the function that collects evidence."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "collector" }
}

output "remediate_function_arns" {
  description = "Playbook that undoes a principal's actions => ARN of the function that does."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "remediate" }
}

output "restore_function_arns" {
  description = "Playbook whose restore is switched on => ARN of the function that people invoke to undo it."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "restore" }
}

output "terminate_function_arns" {
  description = "Playbook whose finish is terminate => ARN of the function that terminates."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "terminate" }
}

output "member_role_trust" {
  description = "responder, collector, remediator, restorer, terminator => playbook => the only principal those member roles trust. modules/responder-role derives the same ARNs from name_prefix, iam.path and security_account_id."
  value = {
    for job, what in local.jobs : what.member_role => {
      for key, one in module.function : local.functions[key].playbook => one.function_role_arn if local.functions[key].job == job
    }
  }
}

output "forensics_document_arn" {
  description = "ARN of the SSM document that collects from instances; null while forensics is off."
  value       = try(module.forensics[0].document_arn, null)
}
