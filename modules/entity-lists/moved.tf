# These were resources of this module. An upgrade moves them, and destroys nothing.
moved {
  from = aws_s3_bucket.lists
  to   = module.files.aws_s3_bucket.lists
}

moved {
  from = aws_s3_bucket_server_side_encryption_configuration.lists
  to   = module.files.aws_s3_bucket_server_side_encryption_configuration.lists
}

moved {
  from = aws_s3_bucket_public_access_block.lists
  to   = module.files.aws_s3_bucket_public_access_block.lists
}

moved {
  from = aws_s3_bucket_ownership_controls.lists
  to   = module.files.aws_s3_bucket_ownership_controls.lists
}

moved {
  from = aws_s3_bucket_policy.lists
  to   = module.files.aws_s3_bucket_policy.lists
}

moved {
  from = aws_s3_object.list
  to   = module.files.aws_s3_object.list
}
