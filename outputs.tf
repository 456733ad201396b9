output "effective_policy" {
  description = <<-EOT
    Maps every known finding type to { mode, the key that decided, scope, playbook, accounts that differ (by a key of
    their own, or as the management account, where nothing is changed), note }. policy_summary is shorter.
  EOT
  value       = local.effective_policy

  precondition {
    condition     = length(local.policy_errors) == 0
    error_message = "The switches do not say what you mean:\n- ${join("\n- ", local.policy_errors)}"
  }
}

output "policy_summary" {
  description = <<-EOT
    Maps each finding type that is not only notified to a line: its mode, the key that decided, the accounts that
    differ, and what else there is to know. As an output of your configuration it is what a plan shows to reviewers.
  EOT
  value       = local.policy_summary
}

output "playbook_options" {
  description = "Maps each playbook to its options, with the defaults of its manifest where nothing was given."
  value       = local.playbook_options

  precondition {
    condition     = length(local.playbook_problems) == 0
    error_message = "The options of playbooks are wrong (docs/playbook-options.md lists them):\n- ${join("\n- ", local.playbook_problems)}"
  }
}

output "config_sha256" {
  description = "SHA-256 of the configuration document. The functions refuse any other."
  value       = local.config_sha256
}

output "act_event_patterns" {
  description = "Event patterns of the rule act, one for each rule that it takes (empty when nothing acts)."
  value       = local.act_patterns
}

output "incident_state_machine_arn" {
  description = "ARN of the state machine that answers the acting finding types."
  value       = try(module.incident[0].incident_state_machine_arn, null)
}

output "notice_state_machine_arn" {
  description = "ARN of the state machine that notifies people of all other findings."
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
  description = "ARN of the topic for notifications."
  value       = local.topic_arns.notifications
}

output "escalations_topic_arn" {
  description = "ARN of the topic for what must not wait. It is the notifications topic if there is no other."
  value       = local.topic_arns.escalations
}

output "undelivered_queue_url" {
  description = "URL of the queue of events that EventBridge could not deliver. The reconciler (watchdog function) reads it."
  value       = try(module.incident[0].queues.undelivered.url, null)
}

output "undelivered_queue_arn" {
  description = "ARN of the queue of events that EventBridge could not deliver."
  value       = try(module.incident[0].queues.undelivered.arn, null)
}

output "dead_letters_queue_url" {
  description = "URL of the queue of events that nothing could handle. People read it."
  value       = try(module.incident[0].queues.dead_letters.url, null)
}

output "dead_letters_queue_arn" {
  description = "ARN of the queue of events that nothing could handle."
  value       = try(module.incident[0].queues.dead_letters.arn, null)
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts everything, created here or your own."
  value       = var.create ? local.chosen_key : null

  # Not postconditions of terraform_data.kms_created: a plan that only refreshes an empty state cannot evaluate self.
  precondition {
    condition     = local.has_key || local.kms_was_created != true
    error_message = "kms.create is false, and the key that was created here would be deleted. Nobody could read the evidence and the state before containments any more, which it encrypts. Set kms.keep_created = true beside it: the key stays, and the functions may still decrypt with it. docs/off-boarding.md says how to give it up (One key for another)."
  }
  precondition {
    condition     = local.kms_settings.create || !local.kms_settings.keep_created || local.kms_was_created != false
    error_message = "kms.keep_created is true, but there is no key to keep: none was created here. Take it out."
  }
  precondition {
    condition     = !local.kms_settings.create || local.kms_was_created != false
    error_message = "kms.create became true, and this deployment remembers that its key is another: it would delete the new key as soon as kms.create is false again. Plan and apply once with -replace='<module>.terraform_data.kms_created[0]' (module.response.terraform_data.kms_created[0] if the module's name is response), which replaces this note and nothing else."
  }
}

output "kms_key_policy_statements" {
  description = <<-EOT
    JSON list of the statements that your own key (kms.key_arn) needs beside its owner's. They are those of the
    module's own key. The key of your own topic (topic_kms_key_arn) needs EventsAlarmsAndTopics and, with a budget,
    BudgetsToOneTopic.
    Without them, log groups are refused and messages are lost without an error. The statements name the Region, so
    they are known only after something was created here; examples/existing-resources has them for a first apply.
  EOT
  value = !var.create ? null : jsonencode(concat(local.key_statements, [for statement in local.budgets_key_statements : merge(statement, {
    Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = local.notifications_settings.create_topic ? local.own_topic_arn : local.notifications_settings.topic_arn } }
  })]))
}

output "function_arns" {
  description = "Maps incident and watchdog to the ARN of the function."
  value       = try(module.incident[0].function_arns, {})
}

output "role_arns" {
  description = "Maps incident, watchdog, incident_machine, notice_machine and events to the ARN of the role."
  value       = try(module.incident[0].role_arns, {})
}

output "playbook_function_arns" {
  description = "Maps each playbook in use to the ARN of the function that contains and verifies."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "playbook" }
}

output "playbook_role_arns" {
  description = "Maps each playbook in use to the ARN of that function's role."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_role_arn if local.functions[key].job == "playbook" }
}

output "collector_function_arns" {
  description = "Maps each playbook in use to the ARN of the function that collects evidence."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "collector" }
}

output "remediate_function_arns" {
  description = "Maps each playbook with eradication to the ARN of the function that performs it."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "remediate" }
}

output "restore_function_arns" {
  description = "Maps each playbook with restore to the ARN of the function that people invoke to undo a containment."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "restore" }
}

output "terminate_function_arns" {
  description = "Maps each playbook whose finish is terminate to the ARN of the function that terminates."
  value       = { for key, one in module.function : local.functions[key].playbook => one.function_arn if local.functions[key].job == "terminate" }
}

output "monitor_function_arns" {
  description = "Maps each playbook in use to the ARN of the function that verifies its containments again."
  value       = local.monitor_functions
}

output "member_role_trust" {
  description = <<-EOT
    Maps responder, collector, monitor, remediator, restorer and terminator, and then a playbook, to the only principal that
    those member roles trust: functions that exist. for_member_accounts names the same ARNs.
  EOT
  value = {
    for job, what in local.jobs : what.member_role => {
      for key, one in module.function : local.functions[key].playbook => one.function_role_arn if local.functions[key].job == job
    }
  }
}

output "forensics_document_arn" {
  description = "ARN of the SSM document that collects data from instances (null if forensics is off)."
  value       = try(module.forensics[0].document_arn, null)
}
