# modules/typed-options: unknown keys are named, what is known stays known, and nobody reads a secret. No provider.

run "nothing_given" {
  command = plan

  module {
    source = "./tests/terraform/fixtures/typed_options"
  }

  assert {
    condition = length(output.given.problems) == 0 && jsonencode(output.given.values) == jsonencode({
      arn  = null, create = true, addresses = [], messages = 6, per_type = {}, members = {}, escalation = { create = true, addresses = [] },
      lock = null, watch = { thresholds = { actual = [80, 100] } }, filters = [], lists = {},
    })
    error_message = jsonencode(output.given)
  }
  assert {
    condition = jsonencode(output.known_already) == jsonencode({
      create     = false
      addresses  = 2
      second     = "soc@example.com"
      members    = ["111122223333"]
      escalation = [false, 1]
      filters    = ["scanner"]
      lists      = { office = [true, false], none = [true, true] }
      lock       = null
      messages   = 6
      misspelt   = ["topics.adresses is no key of this variable; the nearest is addresses. Its keys are addresses, arn, create, escalation, filters, lists, lock, members, messages, per_type, watch."]
    })
    error_message = jsonencode(output.known_already)
  }
  assert {
    condition = jsonencode(output.known_beside_the_vague) == jsonencode({
      create   = false, nested = true, filters = [], messages = 6,
      misspelt = ["topics.mesages is no key of this variable; the nearest is messages. Its keys are addresses, arn, create, escalation, filters, lists, lock, members, messages, per_type, watch."]
    })
    error_message = jsonencode(output.known_beside_the_vague)
  }
  assert {
    condition = jsonencode(output.of_a_secret) == jsonencode({
      create = false, messages = 3, secret = true,
      wrong = [
        "topics.addresses must be e-mail addresses, for example [\"soc@example.com\"]; it is another, which is sensitive.",
        "topics.arn must be an ARN, for example \"arn:aws:sns:eu-central-1:111122223333:t\"; it is another, which is sensitive.",
      ]
    })
    error_message = jsonencode(output.of_a_secret)
  }
}

run "what_is_given_stands_in_its_type" {
  command = plan

  module {
    source = "./tests/terraform/fixtures/typed_options"
  }
  variables {
    value = {
      create     = "false"
      arn        = null
      messages   = "3"
      per_type   = { b = "2", a = 1 }
      members    = { "111122223333" = { S3 = "ENABLED" }, "222233334444" = { EKS = "DISABLED", S3 = "ENABLED" } }
      escalation = null
      lock       = { days = 7, mode = null }
      watch      = { thresholds = {} }
      filters    = [{ name = "b" }, { name = "a", criteria = { type = { equals = ["x"] } } }]
      lists      = { a = { active = false }, b = { addresses = ["10.0.0.0/8"] } }
    }
  }

  assert {
    condition = length(output.given.problems) == 0 && jsonencode(output.given.values) == jsonencode({
      arn        = null, create = false, addresses = [], messages = 3, per_type = { a = 1, b = 2 },
      members    = { "111122223333" = { S3 = "ENABLED" }, "222233334444" = { EKS = "DISABLED", S3 = "ENABLED" } },
      escalation = { create = true, addresses = [] }, lock = { days = 7, mode = "GOVERNANCE" }, watch = { thresholds = { actual = [80, 100] } },
      filters    = [{ name = "b", criteria = null }, { name = "a", criteria = { type = { equals = ["x"] } } }],
      lists      = { a = { active = false, addresses = null }, b = { active = true, addresses = ["10.0.0.0/8"] } },
    })
    error_message = jsonencode(output.given)
  }
}

run "what_is_wrong_is_named" {
  command = plan

  module {
    source = "./tests/terraform/fixtures/typed_options"
  }
  variables {
    value = {
      adress     = ["soc@example.com"]
      addresses  = ["soc@example", "cert@example.com", "soc"]
      arn        = "alias"
      create     = "maybe"
      escalation = { created = false, addresses = "soc@example.com" }
      filters    = [{ name = "a" }, { nme = "b" }]
      lists      = { "a.b" = { address = [] } }
      lock       = { mode = "ANY" }
      members    = { "111122223333" = "ENABLED" }
      messages   = 1.5
      per_type   = { a = 11 }
      watch      = { thresholds = { actua = [1], actual = ["half"] } }
      qqq        = 1
    }
  }

  assert {
    condition = output.given.misspelt == [
      "topics.adress is no key of this variable; the nearest is addresses. Its keys are addresses, arn, create, escalation, filters, lists, lock, members, messages, per_type, watch.",
      "topics.qqq is no key of this variable. Its keys are addresses, arn, create, escalation, filters, lists, lock, members, messages, per_type, watch.",
      "topics.escalation.created is no key of this variable; the nearest is create. escalation has addresses, create.",
      "topics.filters[1].nme is no key of this variable; the nearest is name. filters[1] has criteria, name.",
      "topics.lists[\"a.b\"].address is no key of this variable; the nearest is addresses. lists[\"a.b\"] has active, addresses.",
      "topics.watch.thresholds.actua is no key of this variable; the nearest is actual. watch.thresholds has actual.",
    ]
    error_message = jsonencode(output.given.misspelt)
  }
  assert {
    condition = output.given.wrong == [
      "topics.addresses must be e-mail addresses, for example [\"soc@example.com\"]; it is \"soc@example\", \"soc\".",
      "topics.arn must be an ARN, for example \"arn:aws:sns:eu-central-1:111122223333:t\"; it is \"alias\".",
      "topics.create must be true or false; it is \"maybe\".",
      "topics.escalation.addresses must be a list of strings; it is \"soc@example.com\".",
      "topics.lock.mode must be one of GOVERNANCE, COMPLIANCE; it is \"ANY\".",
      "topics.members must be a map of maps of strings; it is {\"111122223333\":\"ENABLED\"}.",
      "topics.messages must be a whole number, at least 1; it is 1.5.",
      "topics.per_type must be numbers from 0 to 10; it is {\"a\":11}.",
      "topics.watch.thresholds.actual must be a list of numbers; it is [\"half\"].",
      "topics.lock.days is missing: How long an object is locked.",
      "topics.filters[1].name is missing: The filter's name.",
    ]
    error_message = jsonencode(output.given.wrong)
  }
}

run "no_object_at_all" {
  command = plan

  module {
    source = "./tests/terraform/fixtures/typed_options"
  }
  variables {
    value = ["soc@example.com"]
  }

  assert {
    condition     = output.given.problems == ["topics must be an object of keys, for example topics = { create = false }."] && output.given.values.create
    error_message = jsonencode(output.given)
  }
}

run "several_variables_in_one_call" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = ""
    value  = { detector = { featurs = {}, create = "perhaps" }, findings_export = { bucket = "archive" } }
    schema = jsondecode(file("schema/variables/guardduty.json"))
  }

  assert {
    condition = output.problems == [
      "detector.featurs is no key of this variable; the nearest is features. detector has create, features, finding_publishing_frequency, id, managed_by.",
      "findings_export.bucket is no key of this variable; the nearest is bucket_arn. findings_export has bucket_arn, create, create_bucket, create_key, expire_after_days, force_destroy, kms_key_arn, object_lock, prefix.",
      "detector.create must be true or false; it is \"perhaps\".",
    ]
    error_message = jsonencode(output.problems)
  }
}
