"""The module quarantine-scp as the tests plan it beside the sandbox: its policies are outputs."""

QUARANTINE_SCP = """module "scp" {
  source                  = "../../modules/quarantine-scp"
  target_ids              = ["ou-ab12-cdef3456"]
  exempt_principal_arns   = ["arn:aws:iam::*:role/break-glass", "arn:aws:iam::*:user/emergency"]
  deployer_principal_arns = ["arn:aws:iam::*:role/deploy"]
}
output "scp" {
  value = module.scp.content
}
output "scp_ec2" {
  value = module.scp.ec2_content
}
"""
