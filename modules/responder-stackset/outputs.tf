output "stack_set_id" {
  description = "Id of the StackSet."
  value       = aws_cloudformation_stack_set.this.stack_set_id
}

output "template_body" {
  description = "The CloudFormation template of the roles as JSON, for a deployment with other tools and for a review."
  value       = local.templates.roles
}

output "template_url" {
  description = "Where in S3 CloudFormation reads that template; null if it goes with the call."
  value       = local.template_url
}

output "forwarder_stack_set_id" {
  description = "Id of the StackSet of the forwarders; null without forwarder_regions."
  value       = one(aws_cloudformation_stack_set.forwarders[*].stack_set_id)
}

output "forwarder_template_body" {
  description = "The CloudFormation template of the forwarders as JSON; null without forwarder_regions."
  value       = lookup(local.templates, "forwarders", null)
}

output "account_ids" {
  description = <<-EOT
    Accounts that have a stack of the roles, as of the last refresh. The list grows as accounts join, so an output of a root module
    that uses it appears in the next plan.
  EOT
  value       = sort(distinct(flatten([for instance in aws_cloudformation_stack_set_instance.this : instance.stack_instance_summaries[*].account_id])))
}
