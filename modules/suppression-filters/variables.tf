variable "detector_id" {
  description = "Id of the detector of the account that administers GuardDuty. Its filters apply to members too."
  type        = string
  nullable    = false
}

variable "filters" {
  description = <<-EOT
    Suppression filters in their order; the position in the list is the rank. criteria maps a field of the finding
    (type, severity, accountId, resource.instanceDetails.tags.value, …) to an operator (equals, not_equals,
    greater_than, greater_than_or_equal, less_than, less_than_or_equal) and its values. All fields must match, and
    with several values of equals one of them.
    A finding that matches is archived on arrival. It is neither notified nor answered nor exported, whatever the mode
    of its type. Add new filters at the end: removing or inserting one in the middle replaces all that follow, and for
    these seconds their findings are not suppressed. Filters that were created elsewhere share the ranks, so import or
    remove them.
  EOT
  type        = any
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for filter in var.filters : length(setsubtract(try(keys(filter), ["no object"]), ["name", "description", "criteria"])) == 0])
    error_message = "The keys of a suppression filter are name, description and criteria; wrong: ${join(", ", flatten([for index, filter in var.filters : [for key in setsubtract(try(keys(filter), ["no object"]), ["name", "description", "criteria"]) : "filters[${index}].${key}"]]))}."
  }
  validation {
    condition     = alltrue([for filter in var.filters : length(setsubtract(["name", "criteria"], try(keys(filter), []))) == 0])
    error_message = "A suppression filter needs name and criteria; missing: ${join(", ", flatten([for index, filter in var.filters : [for key in setsubtract(["name", "criteria"], try(keys(filter), [])) : "filters[${index}].${key}"]]))}."
  }

  validation {
    condition     = length(var.filters) <= 30
    error_message = "There are ${length(var.filters)} suppression filters; this module has room for 30 (GuardDuty takes 100 per Region, but only one after another, and each place in that chain is written out). Join filters: equals takes up to 50 values."
  }
  validation {
    condition     = alltrue([for filter in var.filters : can(regex("^[A-Za-z0-9._-]{3,64}$", try(filter.name, "")))])
    error_message = "The name of a suppression filter is 3 to 64 letters, digits, dots, underscores and hyphens; wrong: ${join(", ", [for filter in var.filters : "\"${try(filter.name, "")}\"" if !can(regex("^[A-Za-z0-9._-]{3,64}$", try(filter.name, "")))])}."
  }
  validation {
    condition     = length(distinct([for filter in var.filters : try(filter.name, "")])) == length(var.filters)
    error_message = "Suppression filters need different names; more than once: ${join(", ", distinct([for filter in var.filters : try(filter.name, "") if length([for other in var.filters : other if try(other.name, "") == try(filter.name, "")]) > 1]))}."
  }
  validation {
    condition     = alltrue([for filter in var.filters : try(filter.description, null) == null ? true : can(regex("^[A-Za-z0-9 \\t\\n\\v\\f\\r/_:.(){}\\[\\]-]{0,512}$", try(filter.description, null)))])
    error_message = "The description of a suppression filter is at most 512 letters, digits, spaces and - . : _ / ( ) [ ] { }; wrong: ${join(", ", [for filter in var.filters : try(filter.name, "") if try(filter.description, null) != null && !can(regex("^[A-Za-z0-9 \\t\\n\\v\\f\\r/_:.(){}\\[\\]-]{0,512}$", try(filter.description, null)))])}."
  }
  validation {
    condition     = alltrue([for filter in var.filters : length(try(filter.criteria, {})) >= 1 && length(try(filter.criteria, {})) <= 50])
    error_message = "A suppression filter needs 1 to 50 fields in criteria (one without any would archive every finding); wrong: ${join(", ", [for filter in var.filters : try(filter.name, "") if length(try(filter.criteria, [])) < 1 || length(try(filter.criteria, [])) > 50])}."
  }
  validation {
    condition     = alltrue(flatten([for filter in var.filters : [for field in keys(try(filter.criteria, {})) : can(regex("^[a-z][A-Za-z0-9]*(\\.[A-Za-z0-9]+)*$", field))]]))
    error_message = "A field in criteria is a path into the finding, such as type, severity or resource.instanceDetails.instanceId; wrong: ${join(", ", flatten([for filter in var.filters : [for field in try(keys(filter.criteria), []) : "${try(filter.name, "")}: ${field}" if !can(regex("^[a-z][A-Za-z0-9]*(\\.[A-Za-z0-9]+)*$", field))]]))}."
  }
  validation {
    condition = alltrue(flatten([
      for filter in var.filters : [
        for operators in values(try(filter.criteria, {})) : concat(
          [length(operators) > 0],
          [for operator in keys(operators) : contains(["equals", "not_equals", "greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal"], operator)],
        )
      ]
    ]))
    error_message = "An operator in criteria is equals, not_equals, greater_than, greater_than_or_equal, less_than or less_than_or_equal (matches and not_matches are not in version 5 of the AWS provider); wrong: ${join(", ", flatten([for filter in var.filters : [for field, operators in try(filter.criteria, []) : length(operators) == 0 ? ["${try(filter.name, "")}: ${field} without an operator"] : [for operator in keys(operators) : "${try(filter.name, "")}: ${field}: ${operator}" if !contains(["equals", "not_equals", "greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal"], operator)]]]))}."
  }
  validation {
    condition = alltrue(flatten([
      for filter in var.filters : [
        for operators in values(try(filter.criteria, {})) : [
          for operator, values in operators : length(values) >= 1 && length(values) <= (endswith(operator, "equals") ? 50 : 1)
        ]
      ]
    ]))
    error_message = "equals and not_equals take 1 to 50 values, the others exactly one; wrong: ${join(", ", flatten([for filter in var.filters : [for field, operators in try(filter.criteria, []) : [for operator, values in operators : "${try(filter.name, "")}: ${field}: ${operator} has ${length(values)}" if length(values) < 1 || length(values) > (endswith(operator, "equals") ? 50 : 1)]]]))}."
  }
}

variable "tags" {
  description = "Tags of the filters."
  type        = map(string)
  default     = {}
  nullable    = false
}
