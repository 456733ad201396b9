output "filter" {
  description = "Name => { rank, arn } of the filter of this rank; empty when there is none."
  value       = { for filter in aws_guardduty_filter.this : filter.name => { rank = filter.rank, arn = filter.arn } }
}
