output "region" {
  description = "The Region this is deployed to."
  value       = module.forwarder.region
}

output "detector_id" {
  description = "Id of this Region's detector."
  value       = module.detector.id
}

output "detector_arn" {
  description = "ARN of this Region's detector."
  value       = module.detector.arn
}

output "forwarder_role_arn" {
  description = "The role that sends this Region's events on."
  value       = module.forwarder.role_arn
}

output "undelivered_queue_url" {
  description = "What could not be sent on within a day; people read it."
  value       = module.forwarder.undelivered_queue_url
}

output "alarm_topic_arn" {
  description = "The topic made here for email_addresses; null without any."
  value       = module.forwarder.alarm_topic_arn
}

output "forensics_document_arn" {
  description = "The document that collects from this Region's instances; null while forensics is off."
  value       = try(module.forensics[0].document_arn, null)
}
