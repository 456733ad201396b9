output "filter" {
  description = "Maps the name of the filter with this rank to { rank, arn }. Empty if there is none."
  value       = { for filter in aws_guardduty_filter.this : filter.name => { rank = filter.rank, arn = filter.arn } }
}
