output "values" {
  description = "Every key of the schema with its value in its type, or with its default where nothing was given. A key whose value is wrong has its default here, so that everything else can still be planned."
  value       = local.values

  # Keys are known in every plan. Whether a value is right is not, while it is known after the apply only.
  precondition {
    condition     = !var.fails_the_plan || length(local.misspelt) == 0
    error_message = join("\n", local.misspelt)
  }
  precondition {
    condition     = !var.fails_the_plan || length(local.wrong_values) == 0
    error_message = join("\n", local.wrong_values)
  }
}

output "misspelt" {
  description = "Which keys the schema does not have, as sentences that name the nearest key. It is known even if no value is."
  value       = local.misspelt
}

output "wrong" {
  description = "Which values are wrong or missing, as sentences. Unknown while a value is known after the apply only."
  value       = local.wrong_values
}

output "problems" {
  description = "Both lists."
  value       = concat(local.misspelt, local.wrong_values)
}
