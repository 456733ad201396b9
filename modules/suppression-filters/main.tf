# Internal: modules/guardduty calls this module. Its variables may change in any release.
#
# GuardDuty accepts filters only one after another. Rank n is refused unless the ranks 1 to n-1 exist ("the parameter
# rank is out-of-bounds"), and two parallel creations take each other's rank. Terraform creates the instances of one
# resource in parallel, so each rank is a module call of its own that waits for the rank before it. A destroy goes
# from the last to the first. A position without a filter creates nothing.

locals {
  # Two digits of the rank => its filter, null for a position without one
  positions = {
    for index in range(30) : format("%02d", index + 1) => index >= length(var.filters) ? null : merge(
      var.filters[index], { detector_id = var.detector_id, rank = index + 1, tags = var.tags }
    )
  }
}

module "rank_01" {
  source = "./filter"
  filter = local.positions["01"]
}

module "rank_02" {
  source = "./filter"
  filter = local.positions["02"]

  depends_on = [module.rank_01]
}

module "rank_03" {
  source = "./filter"
  filter = local.positions["03"]

  depends_on = [module.rank_02]
}

module "rank_04" {
  source = "./filter"
  filter = local.positions["04"]

  depends_on = [module.rank_03]
}

module "rank_05" {
  source = "./filter"
  filter = local.positions["05"]

  depends_on = [module.rank_04]
}

module "rank_06" {
  source = "./filter"
  filter = local.positions["06"]

  depends_on = [module.rank_05]
}

module "rank_07" {
  source = "./filter"
  filter = local.positions["07"]

  depends_on = [module.rank_06]
}

module "rank_08" {
  source = "./filter"
  filter = local.positions["08"]

  depends_on = [module.rank_07]
}

module "rank_09" {
  source = "./filter"
  filter = local.positions["09"]

  depends_on = [module.rank_08]
}

module "rank_10" {
  source = "./filter"
  filter = local.positions["10"]

  depends_on = [module.rank_09]
}

module "rank_11" {
  source = "./filter"
  filter = local.positions["11"]

  depends_on = [module.rank_10]
}

module "rank_12" {
  source = "./filter"
  filter = local.positions["12"]

  depends_on = [module.rank_11]
}

module "rank_13" {
  source = "./filter"
  filter = local.positions["13"]

  depends_on = [module.rank_12]
}

module "rank_14" {
  source = "./filter"
  filter = local.positions["14"]

  depends_on = [module.rank_13]
}

module "rank_15" {
  source = "./filter"
  filter = local.positions["15"]

  depends_on = [module.rank_14]
}

module "rank_16" {
  source = "./filter"
  filter = local.positions["16"]

  depends_on = [module.rank_15]
}

module "rank_17" {
  source = "./filter"
  filter = local.positions["17"]

  depends_on = [module.rank_16]
}

module "rank_18" {
  source = "./filter"
  filter = local.positions["18"]

  depends_on = [module.rank_17]
}

module "rank_19" {
  source = "./filter"
  filter = local.positions["19"]

  depends_on = [module.rank_18]
}

module "rank_20" {
  source = "./filter"
  filter = local.positions["20"]

  depends_on = [module.rank_19]
}

module "rank_21" {
  source = "./filter"
  filter = local.positions["21"]

  depends_on = [module.rank_20]
}

module "rank_22" {
  source = "./filter"
  filter = local.positions["22"]

  depends_on = [module.rank_21]
}

module "rank_23" {
  source = "./filter"
  filter = local.positions["23"]

  depends_on = [module.rank_22]
}

module "rank_24" {
  source = "./filter"
  filter = local.positions["24"]

  depends_on = [module.rank_23]
}

module "rank_25" {
  source = "./filter"
  filter = local.positions["25"]

  depends_on = [module.rank_24]
}

module "rank_26" {
  source = "./filter"
  filter = local.positions["26"]

  depends_on = [module.rank_25]
}

module "rank_27" {
  source = "./filter"
  filter = local.positions["27"]

  depends_on = [module.rank_26]
}

module "rank_28" {
  source = "./filter"
  filter = local.positions["28"]

  depends_on = [module.rank_27]
}

module "rank_29" {
  source = "./filter"
  filter = local.positions["29"]

  depends_on = [module.rank_28]
}

module "rank_30" {
  source = "./filter"
  filter = local.positions["30"]

  depends_on = [module.rank_29]
}
