output "document_arn" {
  description = "ARN of the document. Other accounts run it by this ARN."
  value       = aws_ssm_document.this.arn
}

output "document_name" {
  description = "Name of the document."
  value       = aws_ssm_document.this.name
}

output "content" {
  description = "What runs on instances, as JSON, for a review."
  value       = local.content
}
