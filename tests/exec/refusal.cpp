#include "tests/exec/refusal.hpp"

#include <bit>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

namespace keep::test {
namespace {

// Where the lower half of an argument lies; flags have no other.
unsigned offset_of_argument(int argument) {
    const std::size_t start = offsetof(seccomp_data, args) + sizeof(__u64) * static_cast<std::size_t>(argument);
    return static_cast<unsigned>(std::endian::native == std::endian::big ? start + 4 : start);
}

} // namespace

bool refuse(const std::vector<Refusal>& refusals) {
    std::vector<sock_filter> program;
    for (const Refusal& refusal : refusals) {
        const unsigned answer = SECCOMP_RET_ERRNO | static_cast<unsigned>(refusal.code);
        const bool always = refusal.argument < 0;
        const auto rest = static_cast<unsigned char>(always ? 1 : 4);
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(refusal.call), 0, rest));
        if (!always) {
            program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset_of_argument(refusal.argument)));
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refusal.unless, 2, 0));
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refusal.bits, 0, 1));
        }
        program.push_back(BPF_STMT(BPF_RET | BPF_K, answer));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

} // namespace keep::test
