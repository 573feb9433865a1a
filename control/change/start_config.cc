// SPDX-License-Identifier: Apache-2.0
#include "control/change/start_config.h"

#include "control/change/change_lock.h"
#include "control/change/recovery.h"
#include "control/change/reload.h"

namespace teal {

tl::expected<StartConfig, ConfigErrors> choose_config(
    tl::expected<ConfigFile, ConfigErrors> file, const std::string& path,
    const std::optional<std::string>& good_text, const Inventory& inventory, const Publisher& publisher,
    const std::function<ConfigErrors(const Config&)>& check_api) {
  const auto take_file = [&]() -> tl::expected<StartConfig, ConfigErrors> {
    if (!file) return tl::unexpected(file.error());
    return StartConfig{std::move(file->config), {}, ""};
  };
  if (!good_text || (file && file->config.text == *good_text)) return take_file();
  tl::expected<Config, ConfigErrors> good = parse_config(*good_text, path);
  if (!good || !too_large(*good).empty()) return take_file();
  if (!file) return StartConfig{std::move(*good), std::move(file.error()), ""};
  if (ConfigErrors errors = check_api(file->config); !errors.empty())
    return StartConfig{std::move(*good), std::move(errors), ""};

  const tl::expected<Renumbered, std::string> held = renumber(inventory, *good);
  if (!held) return take_file();
  const tl::expected<Change, Refusal> change =
      plan_reload(file, Catalogue(*good, held->inventory), publisher);
  if (!change) return StartConfig{std::move(*good), {}, change.error().message};
  if (inventory.lock && !change->empty())
    return StartConfig{std::move(*good), {}, lock_text(*inventory.lock)};
  return take_file();
}

}  // namespace teal
