// Everything an upgrade reads that somebody else wrote: a candidate's ELF file, its answer in the rehearsal, and the
// env_files of programs. The first byte chooses.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/host/program_environment.hpp"
#include "daemon/upgrade/elf_image.hpp"
#include "daemon/upgrade/rehearsal_answer.hpp"

namespace {

void require(bool held) {
    if (!held) std::abort();
}

void elf(std::string_view bytes) {
    const auto image = keepd::upgrade::examine_elf(
        [&](std::uint64_t offset, std::span<char> into) {
            if (offset > bytes.size() || into.size() > bytes.size() - offset) return false;
            std::ranges::copy(bytes.substr(offset, into.size()), into.begin());
            return true;
        },
        bytes.size());
    // Accepted is only what says who it is; refused is never without a reason.
    if (image)
        require(!image->version.empty() && !image->formats.empty() && !image->build_id.empty());
    else
        require(!image.error().message.empty());
}

void answer(std::string_view text) {
    const auto parsed = keepd::upgrade::parse_answer(text);
    if (!parsed) return require(!parsed.error().message.empty());
    const auto again = keepd::upgrade::parse_answer(keepd::upgrade::to_text(*parsed));
    require(again && *again == *parsed);
}

void env_file(std::string_view text) {
    const auto parsed = keepd::host::parse_env_file(text);
    if (!parsed) return require(parsed.error().message.starts_with("line "));
    for (const auto& [name, value] : *parsed) {
        require(!name.empty() && name.find('=') == std::string::npos);
        require(value.find('\n') == std::string::npos && value.find('\0') == std::string::npos);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
    case 0: elf(rest); break;
    case 1: answer(rest); break;
    default: env_file(rest); break;
    }
    return 0;
}
