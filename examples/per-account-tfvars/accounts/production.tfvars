# Mining is stopped at once; stolen keys wait for a person; nothing is acted on at the month's end.
account_id = "111122223333"
region     = "eu-central-1"

remediations = {
  "CryptoCurrency:EC2/*"         = "auto"
  "Backdoor:EC2/*"               = "approve"
  "UnauthorizedAccess:IAMUser/*" = "approve"
}
minimum_severity = { auto = 7, approve = 4 }

ec2_instance = { restore = true }

exempt_resources = ["arn:aws:ec2:*:*:instance/i-0123456789abcdef0"]
freeze_windows   = [{ name = "month's end", start = "2027-01-29T18:00:00Z", end = "2027-02-02T06:00:00Z" }]
circuit_breaker  = { targets = 3, minutes = 60 }

evidence = {
  object_lock = { mode = "GOVERNANCE", days = 90 }
}
email_addresses = ["security@example.com"]
tags            = { environment = "production" }
