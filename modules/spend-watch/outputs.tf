output "budget_name" {
  description = "Name of the budget; null without one."
  value       = one(aws_budgets_budget.this[*].name)
}

output "trial_notice_at" {
  description = "When the topic is told that the free trial ends (UTC); null when there is no such date or it is past."
  value       = local.notice_ahead ? local.notice_at : null
}

output "trial_notice_policy" {
  description = "What the role that tells of the trial's end may do, as JSON; null when there is none."
  value       = local.notice_ahead ? local.notice_policy : null
}
