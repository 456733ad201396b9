output "stack_set_id" {
  description = "Id of the StackSet."
  value       = aws_cloudformation_stack_set.this.stack_set_id
}

output "template_body" {
  description = "The CloudFormation template, as JSON: for a roll-out with other tools, and for a review."
  value       = local.template
}

output "account_ids" {
  description = "Accounts that have a stack, as far as the last refresh saw."
  value       = sort(distinct([for one in aws_cloudformation_stack_set_instance.this.stack_instance_summaries : one.account_id]))
}
