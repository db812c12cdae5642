// Bytes of a hostile client, in pieces, against the control desk: no crash, no reply that is no Varlink, and nothing is
// changed by who may not change anything. The first byte says who the client is; 0xFF bytes cut the rest into pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "daemon/control/desk.hpp"
#include "daemon/core/plan_diff.hpp"

namespace {

using namespace keepd;

class StillPort : public control::Port {
  public:
    StillPort() {
        for (const char* name : {"web@1", "web@2", "db"}) {
            core::Program program;
            program.spec.name = name;
            program.spec.base = std::string(name).substr(0, std::string(name).find('@'));
            state_.programs.emplace(name, program);
        }
    }
    const core::State& state() const override { return state_; }
    core::Now now() const override { return {}; }
    control::Identity identity() const override { return {"0", "0", 1}; }
    void submit(const core::Event&) override { ++changes; }
    std::expected<core::PlanDiff, std::vector<std::string>> plan() override { return core::PlanDiff{}; }
    keep::Result<> begin_upgrade(const control::UpgradeRequest&) override {
        ++changes;
        return {};
    }
    void reopen_logs() override { ++changes; }
    std::map<std::string, logs::StreamStatus> log_status() const override { return {}; }
    std::optional<control::Usage> usage(int) const override { return std::nullopt; }
    std::string process_trees() const override { return "cgroup"; }
    std::string checkpoint_json() const override { return "{}"; }

    int changes = 0;

  private:
    core::State state_;
};

void must(bool holds) {
    if (!holds) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool stranger = (data[0] & 1) != 0;
    const bool upgrades = (data[0] & 2) != 0;
    const control::Limits limits = {.request = 4096, .output = std::size_t{1} << 20};
    StillPort port;
    auto desk = std::make_unique<control::Desk>(port, 500, limits);
    auto id = desk->admit({stranger ? 1000u : 0u, 0, 1});
    must(id.has_value());
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    while (!rest.empty() && !desk->conversation(*id).over()) {
        const std::size_t end = std::min(rest.find('\xff'), rest.size());
        desk->conversation(*id).received(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        desk->turn(*id);
        if (upgrades) { // the next image takes the client over
            control::ClientState carried = desk->conversation(*id).give_away();
            desk = std::make_unique<control::Desk>(port, 500, limits);
            id = desk->adopt(std::move(carried));
            desk->turn(*id);
        }
        desk->upgrade_ended(true, 0, "done");
        desk->changed({}, true);
        control::Conversation& client = desk->conversation(*id);
        control::Inbox replies(limits.output * 2, std::string(client.unsent()));
        while (const auto reply = replies.take())
            must(control::parse_reply(*reply).has_value());
        must(replies.size() == 0);
        client.sent(client.unsent_size());
    }
    must(!stranger || port.changes == 0);
    return 0;
}
