# The module as the upgrade test applies it, in the release before and in the present one. Terraform leaves out what one of them
# does not know, and says so in a warning.

remediations = {
  "CryptoCurrency:EC2/*"             = "auto"
  "UnauthorizedAccess:EC2/TorClient" = "approve"
  "Trojan:EC2/*"                     = "dry_run"
  "UnauthorizedAccess:IAMUser/*"     = "auto"
}

approval_timeout_minutes = 1440 # at twenty times the speed of AWS: more than an hour
circuit_breaker          = { targets = 1000, minutes = 60 }

# The release before
guardrails = {
  approval_timeout_minutes = 1440
  circuit_breaker          = { targets = 1000, minutes = 60 }
}
playbooks = {
  ec2_instance  = { restore = true, replacement_wait_minutes = 0 }
  iam_principal = { restore = true, repeat_minutes = 0.05, lookup_hours = 0.05 }
}

# The present one
ec2_instance  = { restore = true, replacement_wait_minutes = 0, repeat_minutes = 0.05 }
iam_principal = { restore = true, repeat_minutes = 0.05, lookup_hours = 0.05 }
notifications = {
  messages_a_minute = 10000
}

evidence = {
  force_destroy = true
}
