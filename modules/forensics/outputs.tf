output "document_arn" {
  description = "ARN of the document; other accounts run it by this ARN."
  value       = aws_ssm_document.this.arn
}

output "document_name" {
  description = "Name of the document."
  value       = aws_ssm_document.this.name
}

output "content" {
  description = "What runs on instances, as JSON: for review."
  value       = local.content
}
