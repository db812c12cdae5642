#include "config/paths.hpp"

namespace keepd::config {

DefaultDirs default_dirs(const Facts& facts) {
    if (facts.root) return {"/var/log/keepd", "/var/lib/keepd", "/run/keepd"};
    return {facts.state_home + "/keepd/log", facts.state_home + "/keepd", facts.runtime_home + "/keepd"};
}

std::string socket_in(const std::string& runtime_dir) {
    return runtime_dir + "/control.sock";
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string default_path(const Facts& facts) {
    return facts.root ? "/etc/keepd/keepd.json" : facts.config_home + "/keepd/keepd.json";
}

std::string default_socket(const Facts& facts) {
    return socket_in(default_dirs(facts).runtime);
}

} // namespace keepd::config
