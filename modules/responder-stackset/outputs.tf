output "stack_set_id" {
  description = "Id of the StackSet."
  value       = aws_cloudformation_stack_set.this.stack_set_id
}

output "template_body" {
  description = "The CloudFormation template as JSON, for a deployment with other tools and for a review."
  value       = local.template
}

output "account_ids" {
  description = <<-EOT
    Accounts that have a stack, as of the last refresh. The list grows as accounts join, so an output of a root module
    that uses it appears in the next plan.
  EOT
  value       = sort(distinct(flatten([for instance in aws_cloudformation_stack_set_instance.this : instance.stack_instance_summaries[*].account_id])))
}
