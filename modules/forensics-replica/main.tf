# Another Region of the forensics account gets the same key with the same policy. The response finds it by its id.

resource "aws_kms_replica_key" "evidence" {
  description             = "GuardDuty response: evidence snapshots of compromised instances, in this Region."
  primary_key_arn         = var.primary.kms_key_arn
  deletion_window_in_days = 30
  policy                  = var.primary.key_policy
  tags                    = merge(lookup(var.primary, "tags", {}), var.tags)
}

resource "aws_kms_alias" "evidence" {
  name          = var.primary.alias
  target_key_id = aws_kms_replica_key.evidence.key_id
}
