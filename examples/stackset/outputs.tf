output "stack_set_ids" {
  description = "Ids of the StackSets of the roles and of the forwarders."
  value       = [module.member_roles.stack_set_id, module.member_roles.forwarder_stack_set_id]
}

output "template_body" {
  description = "The CloudFormation template of the roles, for a review."
  value       = module.member_roles.template_body
}

output "forwarder_template_body" {
  description = "The CloudFormation template of the forwarders, for a review."
  value       = module.member_roles.forwarder_template_body
}
