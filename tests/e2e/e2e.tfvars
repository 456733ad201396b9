# The module as the end-to-end tests apply it: every mode, each on types of its own. The tests read these keys' effects only.

remediations = {
  "CryptoCurrency:EC2/*"                 = "auto"
  "CryptoCurrency:EC2/BitcoinTool.B"     = "off" # inside the wider glob
  "Backdoor:EC2/*"                       = "auto"
  "UnauthorizedAccess:EC2/TorClient"     = "approve"
  "Trojan:EC2/*"                         = "dry_run"
  "Recon:EC2/PortProbeUnprotectedPort"   = "auto" # its instance is the victim: told, never isolated
  "UnauthorizedAccess:EC2/TorRelay"      = "notify"
  "UnauthorizedAccess:EC2/RDPBruteForce" = "off"
  "UnauthorizedAccess:IAMUser/*"         = "auto"
  "Persistence:IAMUser/*"                = "approve"
}

account_remediations = {
  "222222222222" = {
    "Backdoor:EC2/Spambot"                     = "notify"  # milder there
    "UnauthorizedAccess:EC2/MetadataDNSRebind" = "dry_run" # and sharper
  }
}

# Many incidents come within a minute here; tests/unit/functions/test_burst.py is about pacing.
notifications = { messages_a_minute = 10000 }

# Checks come when a test lets them be due.
watch = { minutes = 1440 }

minimum_severity = { auto = 5, approve = 4 }

approval_timeout_minutes = 1
exempt_resources         = ["EXEMPT_RESOURCE"] # the fixture puts an ARN of this run here
exempt_principals        = ["arn:aws:iam::222222222222:role/break-glass-*"]
circuit_breaker          = { targets = 1000, minutes = 60 }

# No time for replacements: the local Auto Scaling launches them at once, or never.
ec2_instance = { restore = true, replacement_wait_minutes = 0, repeat_minutes = 0.05 }

iam_principal = {
  restore        = true
  repeat_minutes = 0.05
  lookup_hours   = 0.05 # what the account's root does for the other tests is much
  remediate = [
    "access_keys", "users", "login_profiles", "roles", "policies", "trust", "instances", "security_groups", "buckets", "trails",
    "detectors", "functions", "sharing",
  ]
}

forensics = {
  when                   = "before"
  deadline_seconds       = 0 # containment waits for two types only
  deadlines              = { "Backdoor:EC2/C&CActivity.B" = 90, "Backdoor:EC2/DenialOfService.Udp" = 6 }
  packet_capture_seconds = 0
  commands               = { linux = ["echo \"our own: $(id -un)\""] }
}

evidence = {
  force_destroy = true
}
