output "stack_set_id" {
  description = "Id of the StackSet."
  value       = module.member_roles.stack_set_id
}

output "account_ids" {
  description = "Accounts that have the roles, as far as the last refresh saw."
  value       = module.member_roles.account_ids
}
