# Internal: other modules of this repository call this module. Its variables may change in any release.
#
# This module has no resources. It compares the value of an untyped variable with a schema, and gives every key a value.
# Terraform drops unknown attributes of a typed object without a word; here they are named.
#
# Values may be known only after the apply, and what exists is decided in the plan. So nothing in this file filters by a
# value, and try() and can() are asked about its shape alone: they call everything unknown in which anything is.

locals {
  # path => its rule. Terraform has no recursion, so there are three levels of objects. Below a list or map of objects,
  # * stands for the position or the key: "filters.*.name".
  rules = {
    for path, rule in var.schema.options : path => merge({ default = null, required = false }, rule, { parts = split(".", path), parent = join(".", slice(split(".", path), 0, length(split(".", path)) - 1)) })
  }
  # "" (the variable itself), the path of an object, or of the members of a collection => its keys
  children = {
    for parent in distinct([for rule in values(local.rules) : rule.parent]) :
    parent => [for rule in values(local.rules) : rule.parts[length(rule.parts) - 1] if rule.parent == parent]
  }
  level = { for depth in [1, 2, 3] : depth => [for path, rule in local.rules : path if length(rule.parts) == depth && !contains(rule.parts, "*")] }
}

# --- every key, with its default ------------------------------------------------------------------------------------------
locals {
  given_1 = { for path in local.level[1] : path => contains(try(keys(var.value), []), path) ? var.value[path] : null }
  given_2 = {
    for path in local.level[2] : path => contains(try(keys(local.given_1[local.rules[path].parent]), []), local.rules[path].parts[1]) ? (
      local.given_1[local.rules[path].parent][local.rules[path].parts[1]]
    ) : null
  }
  given_3 = {
    for path in local.level[3] : path => contains(try(keys(local.given_2[local.rules[path].parent]), []), local.rules[path].parts[2]) ? (
      local.given_2[local.rules[path].parent][local.rules[path].parts[2]]
    ) : null
  }
  given = merge(local.given_1, local.given_2, local.given_3)

  # What a value is made of tells its type, also while the value is unknown.
  iterable = { for path, value in local.given : path => can([for item in value : ""]) }
  mapping  = { for path, value in local.given : path => can(keys(value)) }
  sequence = { for path, value in local.given : path => local.iterable[path] && !local.mapping[path] }
  default  = { for path, rule in local.rules : path => rule.default }

  # Each value in the type of its key, null if it has none of that type. The types are the keys of an object, because
  # the branches of a condition would be converted to one type.
  converted = {
    for path, value in local.given : path => {
      "string"       = local.iterable[path] ? null : (can(tostring(value)) ? tostring(value) : null) # a null may be a null list
      "number"       = local.iterable[path] ? null : (can(tonumber(value)) ? tonumber(value) : null)
      "bool"         = local.iterable[path] ? null : (can(tobool(value)) ? tobool(value) : null)
      "list(string)" = local.sequence[path] ? [for item in value : can([for part in item : ""]) ? null : tostring(item)] : null
      "list(number)" = local.sequence[path] ? [for item in value : can(tonumber(item)) ? tonumber(item) : null] : null
      "set(string)"  = local.sequence[path] ? sort(distinct([for item in value : can([for part in item : ""]) ? "" : tostring(item)])) : null
      "map(string)"  = local.mapping[path] ? { for key, item in value : key => can([for part in item : ""]) ? null : tostring(item) } : null
      "map(number)"  = local.mapping[path] ? { for key, item in value : key => can(tonumber(item)) ? tonumber(item) : null } : null
      "map(map(string))" = local.mapping[path] ? {
        for key, inner in value : key => tomap({ for name, item in inner : name => can([for part in item : ""]) ? null : tostring(item) }) if can(keys(inner))
      } : null
      "any" = value
    }[local.rules[path].type] if local.rules[path].type != "object" && !endswith(local.rules[path].type, "(object)")
  }
  leaves = {
    for path, value in local.converted : path =>
    startswith(local.rules[path].type, "list") || startswith(local.rules[path].type, "set") ? (local.sequence[path] ? value : local.default[path]) : (
      startswith(local.rules[path].type, "map") ? (local.mapping[path] ? value : local.default[path]) : (value == null ? local.default[path] : value)
    )
  }

  # The members of a collection, by position or key: each an object with the defaults of its keys
  collected = [for path, rule in local.rules : path if endswith(rule.type, "(object)")]
  members = {
    for path in local.collected : path => local.iterable[path] ? {
      for key, item in local.given[path] : key => {
        for child in local.children["${path}.*"] : child => {
          for member in [contains(try(keys(item), []), child) ? item[child] : null] : "value" => {
            "string"       = can([for part in member : ""]) ? null : (can(tostring(member)) ? tostring(member) : null)
            "number"       = can(tonumber(member)) ? tonumber(member) : null
            "bool"         = can(tobool(member)) ? tobool(member) : null
            "list(string)" = can([for part in member : ""]) ? [for part in member : can([for inner in part : ""]) ? null : tostring(part)] : null
            "any"          = member
          }[local.rules["${path}.*.${child}"].type]
        }.value
      }
    } : null
  }
  members_with_defaults = {
    for path, members in local.members : path => local.iterable[path] ? {
      for key, member in members : key => { for child, value in member : child => value == null ? local.default["${path}.*.${child}"] : value }
    } : null
  }
  # An element of a tuple is not converted, as a branch of a condition would be.
  collections = {
    for path, members in local.members_with_defaults : path => [
      local.default[path],
      members,
      local.sequence[path] ? [for index in range(length(members)) : members[tostring(index)]] : null,
    ][local.rules[path].type == "map(object)" ? (local.mapping[path] ? 1 : 0) : (local.sequence[path] ? 2 : 0)]
  }
  plain = merge(local.leaves, local.collections)

  # An object that was left out is null, or made of defaults if its own default is {}.
  objects_2 = {
    for path in local.level[2] : path => local.mapping[path] || local.default[path] != null ? { for key in local.children[path] : key => local.plain["${path}.${key}"] } : null
    if local.rules[path].type == "object"
  }
  objects_1 = {
    for path in local.level[1] : path => local.mapping[path] || local.default[path] != null ? merge(
      { for key in local.children[path] : key => local.plain["${path}.${key}"] if local.rules["${path}.${key}"].type != "object" },
      { for key in local.children[path] : key => local.objects_2["${path}.${key}"] if local.rules["${path}.${key}"].type == "object" },
    ) : null if local.rules[path].type == "object"
  }
  values = merge({ for path in local.level[1] : path => local.plain[path] if local.rules[path].type != "object" }, local.objects_1)
}
