# Sourced by packaging/run and packaging/test: brings the Debian packages that are not there yet.

# What a build takes. g++ brings the sanitizers' run-time libraries along.
BUILD_PACKAGES="g++ meson ninja-build pkgconf libsystemd-dev nlohmann-json3-dev libcli11-dev libfmt-dev libspdlog-dev doctest-dev"

# What the tests add: a second compiler for the fuzz targets, the formatter, a JSON Schema validator, a real systemd to
# boot, real programs to supervise, a compiler and an emulator of another architecture for the exec library, a judge of
# manual pages, what makes Debian packages, and what makes a Debian.
TEST_PACKAGES="ccache clang-19 libclang-rt-19-dev clang-format-19 python3 python3-jsonschema systemd nginx-light redis-server g++-aarch64-linux-gnu qemu-user mandoc dpkg-dev debhelper debootstrap"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_missing PACKAGE...: nothing to do, or apt-get as root. Services that come along are installed, not started.
install_missing() {
    missing=
    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "these packages are missing; install them as root: apt-get install$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    policy=/usr/sbin/policy-rc.d
    own_policy=
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    status=0
    # The lists of a fresh image are absent or old; fetching them again costs little next to the packages.
    # shellcheck disable=SC2086
    {
        DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update &&
            DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
                install --no-install-recommends --yes $missing >/dev/null
    } || status=$?
    [ -z "$own_policy" ] || rm -f "$policy"
    return "$status"
}

# The first supported compiler cache, as a prefix of the compiler; empty without one.
compiler_prefix() {
    if command -v ccache >/dev/null 2>&1; then echo "ccache "; fi
}
