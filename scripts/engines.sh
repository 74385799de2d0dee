# Container engines beside the machine's own, from Debian's suites: sourced by scripts that test against them.
#
# Each suite is a root of its own below $STAYER_ENGINES, made once and kept with what its engines have stored. The sourcing script has `say`, `die`, `run_tests`,
# `$work` (a temporary directory) and calls `stop_engines` when it ends. All of this needs root.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $work is the sourcing script's.

engines_dir=${STAYER_ENGINES:-/var/lib/stayer-test}
# The processes of the engines that were started, by name.
declare -A engine_pids=()

# === what each engine is ===

engine_suite() {
    case $1 in
        docker26 | podman) echo trixie ;;
        docker28 | docker28-containerd) echo forky ;;
        *) die "there is no engine $1 here; these are: docker26, docker28, docker28-containerd, podman" ;;
    esac
}

suite_packages() {
    case $1 in
        trixie) echo docker.io ca-certificates iptables python3 podman netavark aardvark-dns nftables catatonit ;;
        forky) echo docker.io ca-certificates iptables python3 ;;
    esac
}

engine_command() {
    local socket=unix://$work/$1.sock
    local dockerd=(/usr/sbin/dockerd --host "$socket" --pidfile "$work/$1.pid" --exec-root /run/docker)
    case $1 in
        docker26 | docker28) echo "${dockerd[@]}" --data-root /var/lib/docker ;;
        # A store of its own: an engine with images of the other kind stays with that.
        docker28-containerd) echo "${dockerd[@]}" --data-root /var/lib/docker-containerd --feature containerd-snapshotter=true ;;
        # crun refuses hosts that have both versions of control groups.
        podman) echo podman --runtime runc system service --time 0 "$socket" ;;
    esac
}

# === roots ===

# The mirror that apt is set up with, if it has one of Debian's; debootstrap knows one otherwise.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CREATED_BY)' 'Origin: Debian' 2>/dev/null |
        awk '$2 == "Packages" && !/security/ { print $1; exit }'
}

# Makes the root of a suite, unless it is there with just these packages.
make_root() {
    local suite=$1 dir=$engines_dir/$1 script=$1 begin=$SECONDS packages mirror
    packages=$(suite_packages "$suite")
    [[ $(cat "$dir/.packages" 2>/dev/null) != "$packages" ]] || return 0
    command -v debootstrap >/dev/null || die "debootstrap is missing, which makes the root of Debian $suite. This installs it: apt-get install debootstrap"
    # Older ones have no script for newer suites; all of these are the same one.
    [[ -e /usr/share/debootstrap/scripts/$script ]] || script=sid
    mirror=$(debian_mirror)
    say "making the root of Debian $suite in $dir"
    mkdir -p "$engines_dir"
    rm -rf --one-file-system "$dir" "$dir.new"
    # shellcheck disable=SC2086
    if ! debootstrap --variant=minbase --include="${packages// /,}" "$suite" "$dir.new" $mirror $script >"$work/debootstrap.log" 2>&1; then
        tail -n 20 "$work/debootstrap.log" "$dir.new/debootstrap/debootstrap.log" >&2 || true
        rm -rf --one-file-system "$dir.new"
        die "no root of Debian $suite could be made: it needs the packages of that suite from ${mirror:-a Debian mirror}"
    fi
    rm -f "$dir.new"/var/cache/apt/archives/*.deb
    echo "$packages" >"$dir.new/.packages"
    mv "$dir.new" "$dir"
    say "took $((SECONDS - begin)) s"
}

# === engines ===

engine_host() {
    echo "unix://$work/$1.sock"
}

# Starts an engine and brings the test images to it.
start_engine() {
    local name=$1 suite deadline=$((SECONDS + 120)) command
    [[ $(id -u) == 0 ]] || die "starting an engine beside the machine's own needs root"
    command -v ip >/dev/null || die "ip is missing. This installs it: apt-get install iproute2"
    suite=$(engine_suite "$name")
    make_root "$suite"
    [[ $name != podman ]] || configure_podman
    read -ra command < <(engine_command "$name")
    setsid scripts/in-root "$engines_dir/$suite" "${command[@]}" >"$work/$name.log" 2>&1 </dev/null &
    engine_pids[$name]=$!
    until DOCKER_HOST=$(engine_host "$name") timeout 20 docker version >"$work/$name.version" 2>&1; do
        if [[ ! -d /proc/${engine_pids[$name]} ]] || ((SECONDS > deadline)); then
            tail -n 20 "$work/$name.log" >&2
            die "the engine $name did not start"
        fi
        sleep 0.2
    done
    # For tests that start an engine of their own: the one of this root comes first.
    mkdir -p "$work/$name.bin"
    printf '#!/bin/sh\nexec nsenter --mount=/proc/%s/ns/mnt /usr/sbin/dockerd "$@"\n' "${engine_pids[$name]}" >"$work/$name.bin/dockerd"
    chmod 755 "$work/$name.bin/dockerd"
    DOCKER_HOST=$(engine_host "$name") scripts/test-images
    say "$name answers: $(DOCKER_HOST=$(engine_host "$name") docker version --format '{{.Server.Version}}, API {{.Server.APIVersion}}') (pid ${engine_pids[$name]})"
}

# Runs a command in the network of an engine, and on it.
on_engine() {
    local name=$1
    shift
    if [[ $name == machine ]]; then
        "$@"
        return
    fi
    nsenter --net="/proc/${engine_pids[$name]}/ns/net" env DOCKER_HOST="$(engine_host "$name")" STAYER_TEST_CDI="$engines_dir/$(engine_suite "$name")/etc/cdi" PATH="$work/$name.bin:$PATH" "$@"
}

# Devices are described where tests can write, and registries on loopback are asked without TLS, as Docker does.
configure_podman() {
    local etc=$engines_dir/$(engine_suite podman)/etc
    mkdir -p "$etc/cdi" "$etc/containers/registries.conf.d"
    printf '[[registry]]\nprefix = "127.0.0.1"\nlocation = "127.0.0.1"\ninsecure = true\n' \
        >"$etc/containers/registries.conf.d/loopback.conf"
}

stop_engine() {
    local name=$1 pid=${engine_pids[$1]} deadline=$((SECONDS + 60))
    if [[ $name == podman && -d /proc/$pid ]]; then
        # Its containers are nobody's children and would run on.
        DOCKER_HOST=$(engine_host "$name") docker ps --quiet --all | DOCKER_HOST=$(engine_host "$name") xargs --no-run-if-empty docker rm --force >/dev/null || true
    fi
    kill "$pid" 2>/dev/null || true
    while [[ -d /proc/$pid ]] && ((SECONDS < deadline)); do
        sleep 0.1
    done
    unset "engine_pids[$name]"
}

stop_engines() {
    local name
    for name in "${!engine_pids[@]}"; do
        say "stopping $name (pid ${engine_pids[$name]})"
        stop_engine "$name"
    done
}

# === tests ===

# Runs everything that concerns an engine on this one, and says how many tests that were.
test_engine() {
    local name=$1 before after
    local in_lib=(agent::docker) in_it=(docker:: engine:: engine_faults:: engine_profiles:: faults:: gpus:: image:: seeds:: twenty::)
    # Its service is not dockerd: what restarts one, or gives it a configuration, is not for it.
    [[ $name != podman ]] || in_it=(docker:: engine_faults:: faults:: gpus::gpus_come seeds:: twenty::)
    [[ $name == machine ]] || start_engine "$name"
    before=$(sum passed)
    run_tests on_engine "$name" cargo test --offline --locked --no-fail-fast --lib -- "${in_lib[@]}"
    run_tests on_engine "$name" cargo test --offline --locked --no-fail-fast --test it -- "${in_it[@]}"
    after=$(sum passed)
    [[ $name == machine ]] || stop_engine "$name"
    told+=("$name: $((after - before)) tests passed")
    ((after > before)) || die "no test ran on $name"
}

# Runs what reaches an engine most on one that no package gives, played before the newest that there is (tests/it/engine_proxy).
test_played() {
    local profile=$1 before after
    start_engine docker28
    before=$(sum passed)
    run_tests on_engine docker28 env STAYER_TEST_PROFILE="$profile" cargo test --offline --locked --no-fail-fast --test it -- docker:: seeds::
    after=$(sum passed)
    stop_engine docker28
    told+=("$profile, played: $((after - before)) tests passed")
    ((after > before)) || die "no test ran on $profile"
}

for_each_engine() {
    local name told=()
    for name in "$@"; do
        case $name in
            docker25 | docker29.0 | docker29.7 | docker-novel) test_played "$name" ;;
            *) test_engine "$name" ;;
        esac
    done
    for name in "${told[@]}"; do
        say "$name"
    done
}
