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

output "member_changes" {
  description = "Every output of modules/region-forwarder in member A's home Region; null while nothing is watched."
  value       = one(module.member_changes)
}
