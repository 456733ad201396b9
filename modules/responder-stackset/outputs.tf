output "stack_set_id" {
  description = "Id of the StackSet."
  value       = aws_cloudformation_stack_set.this.stack_set_id
}

output "template_body" {
  description = "The CloudFormation template, as JSON: for a roll-out with other tools, and for a review."
  value       = local.template
}

output "account_ids" {
  description = "Accounts that have a stack, as the last refresh saw. Grows as accounts join: an output of a root made of it shows in the next plan."
  value       = sort(distinct(flatten([for instance in aws_cloudformation_stack_set_instance.this : instance.stack_instance_summaries[*].account_id])))
}
