#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/load.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/verbs.hpp"

namespace keepd::ctl {

using nlohmann::json;

ExitCode check(const Common& common, const std::string& file) {
    const config::Facts facts = config::host_facts();
    const std::string path = file.empty() ? config::default_path(facts) : std::filesystem::absolute(file).string();
    const auto plan = config::load(path, facts);
    if (plan) {
        if (common.json) {
            print_json({{"ok", true},
                        {"config", path},
                        {"socket", plan->daemon.control.path},
                        {"programs", plan->programs.size()},
                        {"faults", json::array()}});
        } else {
            const std::size_t count = plan->programs.size();
            print(path + ": fine, " + std::to_string(count) + (count == 1 ? " program\n" : " programs\n"));
        }
        return ExitCode::done;
    }
    json faults = json::array();
    for (const config::Fault& fault : plan.error()) {
        if (!common.json) std::fprintf(stderr, "%s\n", config::to_text(fault).c_str());
        faults.push_back({{"file", fault.file},
                          {"line", fault.line},
                          {"column", fault.column},
                          {"pointer", fault.pointer},
                          {"message", fault.message}});
    }
    if (common.json) print_json({{"ok", false}, {"config", path}, {"faults", std::move(faults)}});
    return ExitCode::config_wrong;
}

} // namespace keepd::ctl
