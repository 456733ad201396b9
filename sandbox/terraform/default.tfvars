# What the sandbox switches on, unless another file is given with --var-file.

remediations = {
  "CryptoCurrency:EC2/*"                 = "auto"
  "Backdoor:EC2/*"                       = "auto"
  "Trojan:EC2/*"                         = "dry_run"
  "UnauthorizedAccess:EC2/SSHBruteForce" = "approve"
  "Recon:EC2/PortProbeUnprotectedPort"   = "off"
  "UnauthorizedAccess:EC2/TorClient"     = "notify"
  "UnauthorizedAccess:IAMUser/*"         = "auto"
}

ec2_instance = { restore = true, reattach_auto_scaling = true, repeat_minutes = 0.1 }

iam_principal = {
  restore        = true
  repeat_minutes = 0.1 # CloudTrail has its events at once here; on AWS they lag by minutes
  remediate = [
    "access_keys", "users", "login_profiles", "roles", "policies", "trust", "instances", "security_groups", "buckets", "trails",
    "detectors", "functions", "sharing",
  ]
}

# The local instances are this machine, as far as forensics can see: its processes, connections, users.
forensics = {
  when                   = "before"
  deadline_seconds       = 30
  packet_capture_seconds = 0
}

# A whole incident takes seconds here, and each message is shown by itself. The inbox subscribes after the apply.
notifications = {
  messages_a_minute      = 10000
  expected_subscriptions = 0
  escalation             = { expected_subscriptions = 0 }
}

evidence = {
  force_destroy = true
}
