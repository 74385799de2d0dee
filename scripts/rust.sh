# shellcheck shell=bash
# Sourced by the scripts that compile: finds cargo and a linker, or says how to get them and fails.

# Prints the oldest Rust that compiles this package, for example 1.91.
rust_minimum() {
    sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml
}

rust_how_to_install() {
    cat >&2 <<EOF
Rust $(rust_minimum) or newer is needed. Either of these installs it:

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y     (see https://rustup.rs)
    apt-get install rustup && rustup default stable                             (Debian 13, Ubuntu 24.04 and newer)

The 'cargo' package of Debian and Ubuntu is often older than that.
EOF
}

require_rust() {
    if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    fi
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing." >&2
        rust_how_to_install
        return 1
    fi

    local have minimum
    have=$(rustc --version | cut -d' ' -f2)
    minimum=$(rust_minimum)
    if [[ $(printf '%s\n' "$minimum" "$have" | sort -V | head -n 1) != "$minimum" ]]; then
        echo "Rust $have is too old." >&2
        rust_how_to_install
        return 1
    fi
}

# A C compiler is needed to link, and by the `ring` crate.
require_linker() {
    command -v cc >/dev/null && return
    echo "A C linker (cc) is missing. This installs one: apt-get install gcc libc6-dev" >&2
    return 1
}
