# People are told, nothing else: no playbook, no function or role that could act.
account_id          = "333344445555"
region              = "us-east-1"
responder_playbooks = []
evidence            = { expire_after_days = 30, force_destroy = true }
email_addresses     = ["sandbox-owners@example.com"]
tags                = { environment = "sandbox" }
