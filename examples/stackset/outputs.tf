output "stack_set_id" {
  description = "Id of the StackSet."
  value       = module.member_roles.stack_set_id
}

output "template_body" {
  description = "The CloudFormation template, for a review."
  value       = module.member_roles.template_body
}
