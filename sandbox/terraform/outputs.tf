output "name_prefix" {
  description = "Prefix of every name."
  value       = var.name_prefix
}

output "security" {
  description = "Every output of the module."
  value       = module.security
}

output "member" {
  description = "Every output of modules/responder-role."
  value       = module.member
}
