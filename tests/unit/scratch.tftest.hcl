mock_provider "aws" {
  source          = "./tests/unit/mocks"
  override_during = plan
}
run "x" {
  command = plan
  variables {
    remediation_config_file = "/tmp/tfw/sw.yaml"
    remediations = {
      "CryptoCurrency:EC2/*" = "auto"
      "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "approve"
      "*:S3/*" = "dry_run"
      "LateralMovement:EC2/RemoteServices" = "auto"
      "Backdoor:EC2/C&CActivity.B" = "off"
    }
    account_remediations = { "222222222222" = { "*:EC2/*" = "off", "UnauthorizedAccess:*" = "auto" } }
  }
  assert {
    condition = output.config_sha256 == ""
    error_message = output.act_event_pattern
  }
}
run "bad" {
  command = plan
  variables {
    remediation_config_file = "/tmp/tfw/bad.yaml"
  }
}
run "big2" {
  command = plan
  variables {
    remediation_config_file = "/tmp/tfw/big2.yaml"
  }
  assert {
    condition = output.config_sha256 == ""
    error_message = output.act_event_pattern
    error_message = output.act_event_pattern
  }
}
run "big" {
  command = plan
  variables {
    remediation_config_file = "/tmp/tfw/big.yaml"
  }
}
