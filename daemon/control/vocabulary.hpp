// The words of the control interface that server and keepctl share. Pure; knows neither keepd's state nor its policy.
#pragma once

#include <string_view>

namespace keepd::control {

inline constexpr std::string_view interface_name = "io.keepd.Manager";
inline constexpr std::string_view service_interface_name = "org.varlink.service";

// The text of io.keepd.Manager.varlink and of org.varlink.service, as GetInterfaceDescription gives them.
std::string_view interface_description();
std::string_view service_interface_description();

// Full names of the errors that a reply can carry.
namespace errors {
inline constexpr std::string_view interface_not_found = "org.varlink.service.InterfaceNotFound";
inline constexpr std::string_view method_not_found = "org.varlink.service.MethodNotFound";
inline constexpr std::string_view method_not_implemented = "org.varlink.service.MethodNotImplemented";
inline constexpr std::string_view invalid_parameter = "org.varlink.service.InvalidParameter";
inline constexpr std::string_view permission_denied = "org.varlink.service.PermissionDenied";
inline constexpr std::string_view expected_more = "org.varlink.service.ExpectedMore";

inline constexpr std::string_view no_such_program = "io.keepd.Manager.NoSuchProgram";
inline constexpr std::string_view refused = "io.keepd.Manager.Refused";
inline constexpr std::string_view busy = "io.keepd.Manager.Busy";
inline constexpr std::string_view config_wrong = "io.keepd.Manager.ConfigWrong";
inline constexpr std::string_view failed = "io.keepd.Manager.Failed";
} // namespace errors

} // namespace keepd::control
