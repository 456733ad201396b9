output "bucket_name" {
  description = "Bucket of the lists that are written here (null if there are none)."
  value       = one(aws_s3_bucket.lists[*].bucket)
}

output "keys" {
  description = "Maps trusted/name and threat/name of each list that is written here to its key in the bucket."
  value       = { for key, object in aws_s3_object.list : key => object.key }
}
