# Everything is answered without asking, and what principals did is undone.
account_id = "222233334444"
region     = "eu-central-1"

remediations = {
  "*:EC2/*"     = "auto"
  "*:IAMUser/*" = "auto"
}
ec2_instance  = { restore = true, finish = "stop" }
iam_principal = { restore = true, remediate = ["access_keys", "users", "instances", "security_groups"] }
evidence = {
  expire_after_days = 30
  force_destroy     = true
}
tags = { environment = "development" }
