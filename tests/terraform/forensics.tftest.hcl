# The forensics document: steps per platform, one parameter that cannot break out of its quotes, settings baked in.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
}

run "document" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    account_ids            = ["333333333333", "222222222222"]
    packet_capture_seconds = 15
    timeout                = 900
    commands = {
      linux   = ["echo 'it''s' \"$(id)\" {{ PlanUrl }}", "cat <<'EOF'\nx\nEOF"]
      windows = ["Get-Content 'C:\\x y'"]
    }
    memory = {
      linux   = { location = "https://example.org/avml", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
      windows = { location = "s3://gdr-evidence/tools/winpmem.exe", sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" }
    }
    tags = { team = "security" }
  }

  assert {
    condition = alltrue([
      aws_ssm_document.this.name == "gdr-forensics",
      aws_ssm_document.this.document_type == "Command",
      aws_ssm_document.this.permissions == tomap({ type = "Share", account_ids = "222222222222,333333333333" }),
      aws_ssm_document.this.tags == tomap({ team = "security" }),
      jsondecode(output.content).schemaVersion == "2.2",
    ])
    error_message = "The document must be a Command document of the agreed name, shared with the accounts given."
  }
  assert {
    condition = (
      [for step in jsondecode(output.content).mainSteps : [step.action, step.precondition.StringEquals]] ==
      [["aws:runShellScript", ["platformType", "Linux"]], ["aws:runPowerShellScript", ["platformType", "Windows"]]]
    )
    error_message = "Each platform must have its step, and only its own."
  }
  assert {
    condition = alltrue([
      for step in jsondecode(output.content).mainSteps :
      length([for line in step.inputs.runCommand : line if strcontains(line, "{{")]) == 1 &&
      length([for line in step.inputs.runCommand : line if strcontains(line, "'{{ PlanUrl }}'")]) == 1
    ])
    error_message = "The one parameter must stand once, in single quotes; a command must not be able to name it."
  }
  assert {
    condition = (
      keys(jsondecode(output.content).parameters) == ["PlanUrl"] &&
      can(regex(jsondecode(output.content).parameters.PlanUrl.allowedPattern, "https://gdr-evidence.s3.eu-central-1.amazonaws.com/incidents/inc-1/i-1/forensics/x/plan.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Signature=0a")) &&
      can(regex(jsondecode(output.content).parameters.PlanUrl.allowedPattern, "http://127.0.0.1:4566/b/incidents/inc-1/plan.txt?X-Amz-Signature=0a")) &&
      alltrue([
        for bad in [
          "https://a.com/b/plan.txt?x'; id; '", "https://a.com/b/plan.txt?x\nid", "https://a.com/b/plan.txt?$(id)", "https://a.com/b/plan.txt?`id`",
          "https://a.com/$IFS/plan.txt?x", "http://a.com/b/plan.txt?x=1", "http://127.0.0.1.a.com/b/plan.txt?x=1", "https://a.com/b/other.txt?x=1",
          "https://a@b.com/b/plan.txt?x=1", "file:///etc/passwd", "https://a.com/b/plan.txt?x=\"1\"", "",
        ] : !can(regex(jsondecode(output.content).parameters.PlanUrl.allowedPattern, bad))
      ])
    )
    error_message = "PlanUrl must take presigned URLs of the plan, and nothing that could leave its quotes or lead elsewhere."
  }
  assert {
    condition = alltrue([
      contains(jsondecode(output.content).mainSteps[0].inputs.runCommand, "GDR_CAPTURE_SECONDS='15'"),
      contains(jsondecode(output.content).mainSteps[0].inputs.runCommand, "GDR_TIMEOUT='900'"),
      contains(jsondecode(output.content).mainSteps[0].inputs.runCommand, "GDR_COMMANDS='${base64encode(var.commands.linux[0])} ${base64encode(var.commands.linux[1])}'"),
      contains(jsondecode(output.content).mainSteps[0].inputs.runCommand, "GDR_MEMORY_LOCATION='https://example.org/avml'"),
      contains(jsondecode(output.content).mainSteps[1].inputs.runCommand, "$GdrCommands = @('${base64encode(var.commands.windows[0])}')"),
      contains(jsondecode(output.content).mainSteps[1].inputs.runCommand, "$GdrMemoryLocation = ''"),
      contains(jsondecode(output.content).mainSteps[1].inputs.runCommand, "$GdrMemorySha256 = '${var.memory.windows.sha256}'"),
      jsondecode(output.content).mainSteps[0].inputs.timeoutSeconds == "960",
    ])
    error_message = "Settings must be baked in, commands in base64; a tool in the bucket comes by the plan."
  }
}

run "nothing_configured" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  assert {
    condition = alltrue([
      aws_ssm_document.this.permissions == null,
      contains(jsondecode(output.content).mainSteps[0].inputs.runCommand, "GDR_COMMANDS=''"),
      contains(jsondecode(output.content).mainSteps[0].inputs.runCommand, "GDR_MEMORY_SHA256=''"),
      length(output.content) < 60000,
    ])
    error_message = "Without settings the document is shared with nobody and has room left."
  }
}

run "public_is_refused" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    account_ids = ["All"]
  }

  expect_failures = [var.account_ids]
}

run "quotes_in_the_location_are_refused" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    memory = { linux = { location = "https://example.org/a'$(id)'", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
  }

  expect_failures = [var.memory]
}

run "memory_needs_a_hash" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    memory = { windows = { location = "https://example.org/winpmem.exe", sha256 = "" } }
  }

  expect_failures = [var.memory]
}

run "too_long" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    commands = { linux = [join("", [for n in range(1000) : "echo 1234567890 1234567890 1234567890 1234567890 1234567890"])] }
  }

  expect_failures = [aws_ssm_document.this]
}

run "misspelt_platform" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    memory = { linus = { location = "https://example.org/avml", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
  }

  expect_failures = [var.memory]
}

run "misspelt_tool" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    memory = { linux = { location = "https://example.org/avml", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", size = "1" } }
  }

  expect_failures = [var.memory]
}

run "misspelt_commands" {
  command = plan

  module {
    source = "./modules/forensics"
  }

  variables {
    commands = { bash = ["id"] }
  }

  expect_failures = [var.commands]
}
