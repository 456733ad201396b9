# This module has no resources. It compares the options of one playbook with its manifest
# (playbooks/<name>/playbook.yaml), and gives every option a value. Terraform drops unknown attributes of a typed object
# without a word, so the variable of a playbook is untyped, and this module names what the manifest does not know.

locals {
  manifest = yamldecode(file("${path.module}/../../playbooks/${var.name}/playbook.yaml"))

  # "option", "option.key" or "option.key.key" => its rule. Terraform has no recursion, so there are three levels.
  rules = { for path, rule in local.manifest.options : path => merge({ default = null, required = false }, rule, { parts = split(".", path) }) }
  level = { for depth in [1, 2, 3] : depth => [for path, rule in local.rules : path if length(rule.parts) == depth] }
  # "" (the playbook itself) or the path of an object => its keys
  children = {
    for parent in distinct([for path, rule in local.rules : join(".", slice(rule.parts, 0, length(rule.parts) - 1))]) :
    parent => [for path, rule in local.rules : rule.parts[length(rule.parts) - 1] if join(".", slice(rule.parts, 0, length(rule.parts) - 1)) == parent]
  }
}

# --- every option, with its default ---------------------------------------------------------------------------------------
# A value that is not known before the apply leaves all others known: what exists is decided in the plan. So no filter
# here depends on a value.
locals {
  # try() calls an object unknown if any value in it is.
  keys = try(keys(var.options), [])
  given = merge(
    { for path in local.level[1] : path => contains(local.keys, path) ? var.options[path] : null },
    { for path in local.level[2] : path => try(var.options[local.rules[path].parts[0]][local.rules[path].parts[1]], null) },
    { for path in local.level[3] : path => try(var.options[local.rules[path].parts[0]][local.rules[path].parts[1]][local.rules[path].parts[2]], null) },
  )

  # Each value in the type of its option; null if it has none of that type
  converted = {
    for path, rule in local.rules : path => {
      "bool"         = try(tobool(local.given[path]), null)
      "number"       = try(tonumber(local.given[path]), null)
      "string"       = try(tostring(local.given[path]), null)
      "set(string)"  = can(keys(local.given[path])) ? null : try(sort(distinct([for item in local.given[path] : tostring(item)])), null)
      "list(string)" = can(keys(local.given[path])) ? null : try(tolist([for item in local.given[path] : tostring(item)]), null)
      "map(string)"  = try(can(keys(local.given[path])) ? tomap({ for key, item in local.given[path] : key => tostring(item) }) : null, null)
      "object"       = null
    }[rule.type]
  }
  leaves = { for path, rule in local.rules : path => local.converted[path] == null ? rule.default : local.converted[path] if rule.type != "object" }

  inner = {
    for path in local.level[2] : path => local.given[path] == null || !can(keys(local.given[path])) ? null : {
      for key in try(local.children[path], []) : key => local.leaves["${path}.${key}"]
    } if local.rules[path].type == "object"
  }
  objects = {
    for path in local.level[1] : path => local.given[path] == null || !can(keys(local.given[path])) ? null : merge(
      { for key in local.children[path] : key => local.leaves["${path}.${key}"] if contains(keys(local.leaves), "${path}.${key}") },
      { for key in local.children[path] : key => local.inner["${path}.${key}"] if contains(keys(local.inner), "${path}.${key}") },
    ) if local.rules[path].type == "object"
  }
  options = merge({ for path in local.level[1] : path => local.leaves[path] if contains(keys(local.leaves), path) }, local.objects)
}

# --- what is wrong --------------------------------------------------------------------------------------------------------
locals {
  # Every key that was given, also one that the manifest does not know: its path, parent and value.
  top = [for key in local.keys : { path = key, parent = "", key = key, value = var.options[key] }]
  second = flatten([
    for entry in local.top : [for key in keys(entry.value) : { path = "${entry.path}.${key}", parent = entry.path, key = key, value = entry.value[key] }]
    if try(local.rules[entry.path].type, "") == "object" && can(keys(entry.value))
  ])
  third = flatten([
    for entry in local.second : [for key in keys(entry.value) : { path = "${entry.path}.${key}", parent = entry.path, key = key, value = entry.value[key] }]
    if try(local.rules[entry.path].type, "") == "object" && can(keys(entry.value))
  ])
  entries = concat(local.top, local.second, local.third)
  unknown = [for entry in local.entries : { path = entry.path, parent = entry.parent, key = entry.key } if !contains(keys(local.rules), entry.path)]
  # path => the values that have to be what the rule says: of a list its items, of a map its values
  known = { for entry in local.entries : entry.path => entry.value if contains(keys(local.rules), entry.path) && try(entry.value != null, true) }
  items = {
    for path, value in local.known : path => startswith(local.rules[path].type, "set") || startswith(local.rules[path].type, "list") ? (
      try([for item in value : tostring(item)], [])
    ) : startswith(local.rules[path].type, "map") ? try([for key, item in value : tostring(item)], []) : try([tostring(value)], [])
  }

  # The nearest keys are those that share the most runs of three letters.
  runs = {
    for text in distinct(concat([for entry in local.unknown : entry.key], flatten([for entry in local.unknown : local.children[entry.parent]]))) :
    text => toset([for i in range(max(1, length(text) - 2)) : lower(substr(text, i, 3))])
  }
  nearest = {
    for entry in local.unknown : entry.path => [
      for scored in reverse(sort([
        for key in local.children[entry.parent] : format(
          "%04d %s",
          floor(1000 * length(setintersection(local.runs[entry.key], local.runs[key])) / length(setunion(local.runs[entry.key], local.runs[key]))),
          key,
        )
      ])) : split(" ", scored)[1] if !startswith(scored, "0000")
    ]
  }

  type_words = {
    "bool"         = "true or false"
    "number"       = "a number"
    "string"       = "a string"
    "set(string)"  = "a list of strings"
    "list(string)" = "a list of strings"
    "map(string)"  = "a map of strings"
  }
  # path => the rule as the end of a sentence
  must = {
    for path, rule in local.rules : path => try(
      rule.must,
      rule.type == "object" ? "must be an object with ${join(", ", local.children[path])}" : tostring(tobool("no object")),
      can(rule.values) ? format(
        "must be %s%s", startswith(rule.type, "set") ? "any of " : "one of ",
        join(", ", [for value in rule.values : can(rule.meanings[value]) ? "${value} (${rule.meanings[value]})" : value]),
      ) : tostring(tobool("no values")),
      can(rule.minimum) ? "must be a number from ${rule.minimum} to ${rule.maximum}" : tostring(tobool("no limits")),
      "must be ${local.type_words[rule.type]}",
    )
  }
  wrong = [
    for path, value in local.known : path
    if anytrue([
      local.rules[path].type == "object" ? !can(keys(value)) : local.converted[path] == null,
      !alltrue([for item in local.items[path] : try(contains(local.rules[path].values, item), true)]),
      can(local.rules[path].pattern) && !alltrue([for item in local.items[path] : can(regex(local.rules[path].pattern, item))]),
      can(local.rules[path].key_pattern) && !alltrue([for key in try(keys(value), []) : can(regex(local.rules[path].key_pattern, key))]),
      try(tonumber(value) < local.rules[path].minimum, false),
      try(tonumber(value) > local.rules[path].maximum, false),
      try(tonumber(value) <= local.rules[path].above, false),
      try(length(local.items[path]) < local.rules[path].minimum_items, false),
    ])
  ]
  missing = flatten([
    for path, value in local.known : [for key in local.children[path] : "${path}.${key}" if local.rules["${path}.${key}"].required && !contains(keys(local.known), "${path}.${key}")]
    if local.rules[path].type == "object" && can(keys(value))
  ])
  ambiguous = [
    for path, value in local.known : path
    if can(local.rules[path].exactly_one_of) && can(keys(value)) && length([for key in try(local.rules[path].exactly_one_of, []) : key if contains(keys(local.known), "${path}.${key}")]) != 1
  ]
  broken_rules = [
    for rule in try(local.manifest.rules, []) : rule.text
    if alltrue([for option, value in rule.when : value == "any" ? try(length(local.options[option]), 1) > 0 && local.options[option] != null : local.options[option] == value]) &&
    !alltrue([for option, value in rule.needs : local.options[option] == value])
  ]

  problems = concat(
    [for given in [var.options] : "${var.name} must be an object of options, for example ${var.name} = { ${local.level[1][0]} = … }." if !can(keys(given))],
    [
      for entry in local.unknown : format(
        "%s.%s is no option of this playbook%s. %s.",
        var.name, entry.path,
        length(local.nearest[entry.path]) == 0 ? "" : "; the nearest is ${local.nearest[entry.path][0]}",
        entry.parent == "" ? "Its options are ${join(", ", local.children[""])}" : "${entry.parent} has ${join(", ", local.children[entry.parent])}",
      )
    ],
    [for path in local.wrong : "${var.name}.${path} ${local.must[path]}; it is ${substr(jsonencode(local.known[path]), 0, 100)}."],
    [for path in local.missing : "${var.name}.${path} is missing: ${local.rules[path].text}"],
    [for path in local.ambiguous : "${var.name}.${path} must have either ${join(" or ", local.rules[path].exactly_one_of)}."],
    [for text in local.broken_rules : "${var.name}.${text}."],
  )
}
