# What is wrong, as sentences.

# --- every key that was given, also one that the schema does not have -----------------------------------------------------
locals {
  # Of several variables in one object (name = ""), each sentence begins with the variable's own name.
  prefix = var.name == "" ? "" : "${var.name}."
  # path as it is written, the rule's path, the path and the rule's path of what holds it, and the value
  top = [for key in try(keys(var.value), []) : { path = key, rule = key, holder = "", parent = "", key = key, value = var.value[key] }]
  second = concat([], [
    for entry in local.top : concat(
      [for key in try(local.rules[entry.rule].type, "") == "object" ? try(keys(entry.value), []) : [] : merge(entry, { path = "${entry.path}.${key}", rule = "${entry.rule}.${key}", holder = entry.path, parent = entry.rule, key = key, value = entry.value[key] })],
      [for key in try(local.rules[entry.rule].type, "") == "map(object)" ? try(keys(entry.value), []) : [] : merge(entry, { path = "${entry.path}[\"${key}\"]", rule = "${entry.rule}.*", value = entry.value[key] })],
      [for index in try(local.rules[entry.rule].type, "") == "list(object)" ? try(range(length([for item in entry.value : ""])), []) : [] : merge(entry, { path = "${entry.path}[${index}]", rule = "${entry.rule}.*", value = [for item in entry.value : item][index] })],
    )
  ]...)
  third = concat([], [
    for entry in local.second : concat(
      [for key in endswith(entry.rule, "*") || try(local.rules[entry.rule].type, "") == "object" ? try(keys(entry.value), []) : [] : merge(entry, { path = "${entry.path}.${key}", rule = "${entry.rule}.${key}", holder = entry.path, parent = entry.rule, key = key, value = entry.value[key] })],
      [for key in try(local.rules[entry.rule].type, "") == "map(object)" ? try(keys(entry.value), []) : [] : merge(entry, { path = "${entry.path}[\"${key}\"]", rule = "${entry.rule}.*", value = entry.value[key] })],
      [for index in try(local.rules[entry.rule].type, "") == "list(object)" ? try(range(length([for item in entry.value : ""])), []) : [] : merge(entry, { path = "${entry.path}[${index}]", rule = "${entry.rule}.*", value = [for item in entry.value : item][index] })],
    )
  ]...)
  fourth = concat([], [
    for entry in local.third : [
      for key in endswith(entry.rule, "*") ? try(keys(entry.value), []) : [] : merge(entry, { path = "${entry.path}.${key}", rule = "${entry.rule}.${key}", holder = entry.path, parent = entry.rule, key = key, value = entry.value[key] })
    ]
  ]...)
  entries       = concat(local.top, local.second, local.third, local.fourth)
  members_given = [for entry in local.entries : entry if endswith(entry.rule, "*")]
  options_given = [for entry in local.entries : entry if !endswith(entry.rule, "*")]

  unknown = [for entry in local.options_given : { path = entry.path, holder = entry.holder, parent = entry.parent, key = entry.key } if !contains(keys(local.rules), entry.rule)]
  # path => the value, of those that are known to the schema and not null
  known   = { for entry in local.options_given : entry.path => entry.value if contains(keys(local.rules), entry.rule) && try(entry.value != null, true) }
  rule_of = { for entry in local.options_given : entry.path => local.rules[entry.rule] if contains(keys(local.rules), entry.rule) }
  path_of = { for entry in local.options_given : entry.path => entry.rule if contains(keys(local.rules), entry.rule) }
}

# --- misspelt -------------------------------------------------------------------------------------------------------------
locals {
  # The nearest keys are those that share the most runs of three letters; of those that share none, the most letters.
  words = distinct(concat([for entry in local.unknown : entry.key], concat([], [for entry in local.unknown : local.children[entry.parent]]...)))
  runs  = { for text in local.words : text => toset([for i in range(max(1, length(text) - 2)) : lower(substr(text, i, 3))]) }
  chars = { for text in local.words : text => toset(split("", lower(text))) }
  nearest = {
    for entry in local.unknown : entry.path => [
      for scored in reverse(sort([
        for key in local.children[entry.parent] : format(
          "%04d %s",
          max(
            floor(1000 * length(setintersection(local.runs[entry.key], local.runs[key])) / length(setunion(local.runs[entry.key], local.runs[key]))),
            floor(10 * length(setintersection(local.chars[entry.key], local.chars[key])) / length(setunion(local.chars[entry.key], local.chars[key]))) - 5,
          ),
          key,
        )
      ])) : split(" ", scored)[1] if tonumber(split(" ", scored)[0]) > 0
    ]
  }
  misspelt = concat(
    [
      for value in [var.value] : "${var.name} must be an object of ${var.kind.noun}s, for example ${var.name} = { ${try(var.schema.example, "${local.level[1][0]} = …")} }."
      if !can(keys(value))
    ],
    [
      for entry in local.unknown : format(
        "%s%s is no %s of %s%s. %s.",
        local.prefix, entry.path, var.kind.noun, var.kind.owner,
        length(local.nearest[entry.path]) == 0 ? "" : "; the nearest is ${local.nearest[entry.path][0]}",
        entry.holder == "" ? "Its ${var.kind.noun}s are ${join(", ", local.children[""])}" : "${entry.holder} has ${join(", ", local.children[entry.parent])}",
      )
    ],
  )
}

# --- wrong ----------------------------------------------------------------------------------------------------------------
locals {
  # path => the values that have to be what the rule says: of a list its items, of a map its values
  items = {
    for path, value in local.known : path => (
      startswith(local.rule_of[path].type, "set") || startswith(local.rule_of[path].type, "list") ? try([for item in value : tostring(item)], []) :
      startswith(local.rule_of[path].type, "map") ? try([for key, item in value : tostring(item)], []) : try([tostring(value)], [])
    )
  }
  # path => whether the value has none of the rule's type
  mistyped = {
    for path, value in local.known : path => {
      "object"           = !can(keys(value))
      "string"           = !can(tostring(value))
      "number"           = !can(tonumber(value))
      "bool"             = !can(tobool(value))
      "list(string)"     = can(keys(value)) || !can([for item in value : tostring(item)])
      "set(string)"      = can(keys(value)) || !can([for item in value : tostring(item)])
      "list(number)"     = can(keys(value)) || !can([for item in value : tonumber(item)])
      "map(string)"      = !can(keys(value)) || !can([for key, item in value : tostring(item)])
      "map(number)"      = !can(keys(value)) || !can([for key, item in value : tonumber(item)])
      "map(map(string))" = !can(keys(value)) || !can([for key, inner in value : [keys(inner), [for name, item in inner : tostring(item)]]])
      "list(object)"     = can(keys(value)) || !can([for item in value : keys(item)])
      "map(object)"      = !can(keys(value)) || !can([for key, item in value : keys(item)])
      "any"              = false
    }[local.rule_of[path].type]
  }
  type_words = {
    "bool"             = "true or false"
    "number"           = "a number"
    "string"           = "a string"
    "set(string)"      = "a list of strings"
    "list(string)"     = "a list of strings"
    "list(number)"     = "a list of numbers"
    "map(string)"      = "a map of strings"
    "map(number)"      = "a map of numbers"
    "map(map(string))" = "a map of maps of strings"
    "list(object)"     = "a list of objects"
    "map(object)"      = "a map of objects"
    "any"              = "what its module takes"
  }
  # rule's path => the rule as the end of a sentence
  must = {
    for path, rule in local.rules : path => try(
      rule.must,
      rule.type == "object" ? "must be an object with ${join(", ", local.children[path])}" : tostring(tobool("no object")),
      endswith(rule.type, "(object)") ? "must be ${local.type_words[rule.type]} with ${join(", ", local.children["${path}.*"])}" : tostring(tobool("no collection")),
      can(rule.values) ? format(
        "must be %s%s", startswith(rule.type, "set") ? "any of " : "one of ",
        join(", ", [for value in rule.values : can(rule.meanings[value]) ? "${value} (${rule.meanings[value]})" : value]),
      ) : tostring(tobool("no values")),
      can(rule.minimum) ? "must be ${endswith(rule.type, "(number)") ? "" : "a "}${try(rule.integer, false) ? "whole " : ""}number${endswith(rule.type, "(number)") ? "s" : ""}${can(rule.maximum) ? " from ${rule.minimum} to ${rule.maximum}" : ", at least ${rule.minimum}"}" : tostring(tobool("no limits")),
      "must be ${local.type_words[rule.type]}",
    )
  }
  numbers = { for path, value in local.known : path => endswith(local.rule_of[path].type, "(number)") ? try([for item in value : tonumber(item)], []) : try([tonumber(value)], []) }
  # path => the items that do not look as the pattern says
  unlike = { for path, items in local.items : path => can(local.rule_of[path].pattern) ? [for item in items : item if !can(regex(local.rule_of[path].pattern, item))] : [] }
  wrong = [
    for path, value in local.known : path
    if nonsensitive(anytrue([
      local.mistyped[path],
      !alltrue([for item in local.items[path] : try(contains(local.rule_of[path].values, item), true)]),
      length(local.unlike[path]) > 0,
      can(local.rule_of[path].key_pattern) && !alltrue([for key in try(keys(value), []) : can(regex(local.rule_of[path].key_pattern, key))]),
      anytrue([for number in local.numbers[path] : try(number < local.rule_of[path].minimum, false)]),
      anytrue([for number in local.numbers[path] : try(number > local.rule_of[path].maximum, false)]),
      anytrue([for number in local.numbers[path] : try(number <= local.rule_of[path].above, false)]),
      anytrue([for number in local.numbers[path] : try(local.rule_of[path].integer, false) && try(floor(number) != number, false)]),
      try(length(local.items[path]) < local.rule_of[path].minimum_items, false),
    ]))
  ]
  # What the value is; of a list the items that are not right. Nobody reads a secret in an error.
  shown = {
    for path in local.wrong : path =>
    length(local.unlike[path]) > 0 && startswith(local.rule_of[path].type, "list") ? join(", ", [for item in local.unlike[path] : jsonencode(item)]) : jsonencode(local.known[path])
  }

  # The objects that were given, each with the keys that it must have
  holders = concat(
    [{ path = "", rule = "" }],
    [for path, value in local.known : { path = "${path}.", rule = local.path_of[path] } if local.rule_of[path].type == "object" && can(keys(value))],
    [for entry in local.members_given : { path = "${entry.path}.", rule = entry.rule } if can(keys(entry.value))],
  )
  missing = concat([], [
    for holder in local.holders : [
      for key in local.children[holder.rule] : "${holder.path}${key} is missing: ${local.rules[trimprefix("${holder.rule}.${key}", ".")].text}"
      if local.rules[trimprefix("${holder.rule}.${key}", ".")].required && !contains(keys(local.known), "${holder.path}${key}")
    ]
  ]...)
  ambiguous = [
    for path, value in local.known : path
    if can(local.rule_of[path].exactly_one_of) && can(keys(value)) && length([for key in try(local.rule_of[path].exactly_one_of, []) : key if contains(keys(local.known), "${path}.${key}")]) != 1
  ]
  broken_rules = [
    for rule in try(var.schema.rules, []) : rule.text
    if alltrue([for option, value in rule.when : value == "any" ? try(length(local.values[option]), 1) > 0 && local.values[option] != null : local.values[option] == value]) &&
    !alltrue([for option, value in rule.needs : local.values[option] == value])
  ]

  # Every value that is sensitive was left out above.
  wrong_values = nonsensitive([for text in concat(
    [
      for path in local.wrong : format(
        "%s%s %s%s; it is %s.", local.prefix, path, local.must[local.path_of[path]],
        can(local.rule_of[path].example) ? ", for example ${jsonencode(local.rule_of[path].example)}" : "",
        issensitive(local.shown[path]) ? "another, which is sensitive" : substr(replace(local.shown[path], "\\u0026", "&"), 0, 100),
      )
    ],
    [for text in local.missing : "${local.prefix}${text}"],
    [for path in local.ambiguous : "${local.prefix}${path} must have either ${join(" or ", local.rule_of[path].exactly_one_of)}."],
    [for text in local.broken_rules : "${local.prefix}${text}."],
  ) : nonsensitive(text)])
}
