# The examples plan as they stand.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  email_addresses = ["security@example.com"]
}

run "standalone" {
  command = plan

  module {
    source = "./examples/standalone"
  }

  assert {
    condition = alltrue([
      startswith(output.policy_summary["CryptoCurrency:EC2/BitcoinTool.B!DNS"], "auto by CryptoCurrency:EC2/BitcoinTool.B!DNS"),
      startswith(output.policy_summary["CryptoCurrency:EC2/BitcoinTool.B"], "dry_run by CryptoCurrency:EC2/*"),
      # Whatever the security account's side of the trust is called, the member's side must say the same.
      module.guardduty_response.member_role_trust["responder"]["ec2_instance"] != null,
      module.responder_role.trusted_function_role_arns["responder"]["ec2_instance"] == "arn:aws:iam::111111111111:role/guardduty-response-playbook-ec2-instance",
    ])
    error_message = "The standalone example must answer BitcoinTool.B!DNS through a role that trusts its playbook."
  }
}

run "existing_resources" {
  command = plan

  module {
    source = "./examples/existing-resources"
  }

  assert {
    condition     = [for s in jsondecode(aws_kms_key.security.policy).Statement : s if s.Sid != "IamPoliciesOfThisAccount"] == jsondecode(output.kms_key_policy_statements)
    error_message = "The key of the example must hold what the module says such a key needs: ${output.kms_key_policy_statements}"
  }
}
