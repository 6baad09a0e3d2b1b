#!/bin/sh
# Sets everything up once, then works:
#   ./go.sh run [STUDY] [options]   simulate, train, generate, evaluate, report (default: the quickstart)
#   ./go.sh test [options]          the tests; options go to pytest
#   ./go.sh check                   ruff check, ruff format --check and pyright, as pre-commit does
#   ./go.sh types                   pyright alone
# PYTHON picks the interpreter, PUSHFORWARD_VENV another folder than .venv, and
# PUSHFORWARD_TORCH_INDEX another index for the CPU build of torch.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${PUSHFORWARD_VENV:-$here/.venv}
torch_index=${PUSHFORWARD_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
export DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false

say() { echo "go.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

pip() { # quietly: what it prints is kept, and its end shown when it fails
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" >"$venv/setup.log" 2>&1 && return
    tail -n 15 "$venv/setup.log" >&2
    return 1
}

usage() { sed -n '2,8s/^# \{0,1\}//p' "$here/go.sh"; }

find_python() {
    old="" bare=""
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            old="$candidate is $version"
        elif ! "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
            bare=$version
        else
            python=$candidate
            return
        fi
    done
    [ -z "$bare" ] || fail "Python $bare is here, but it lacks the modules venv and ensurepip;" \
        "install them (Debian, Ubuntu: apt-get install python$bare-venv) and run this again."
    fail "Python 3.11 or newer is needed${old:+, but $old}; install it" \
        "(Debian, Ubuntu: apt-get install python3 python3-venv) or name one: PYTHON=/path/to/python3 ./go.sh"
}

has_gpu() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; }

has_torch() { # the pinned release, whichever build
    "$venv/bin/python" - "$1" 2>/dev/null <<'PYTHON'
import importlib.metadata, sys
sys.exit(importlib.metadata.version("torch").split("+")[0] != sys.argv[1].removeprefix("torch=="))
PYTHON
}

install_torch() {
    torch=$(grep '^torch==' "$here/constraints.txt")
    ! has_torch "$torch" || return 0
    if has_gpu; then
        say "2/3 NVIDIA GPU found: installing $torch with CUDA (about 3 GB: this takes a while)"
        pip install "$torch"
    else
        # An index that cannot be reached costs a second with --retries 0, not a minute; pip then
        # takes what its other indexes have.
        say "2/3 no NVIDIA GPU: installing the CPU build of $torch (about 0.2 GB)"
        pip install --retries 0 --extra-index-url "$torch_index" "$torch"
    fi
}

set_up() {
    began="$venv/.setting-up"
    if [ -e "$began" ]; then
        say "an earlier set-up was interrupted; starting it again"
        rm -rf "$venv"
    fi
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        if [ -n "$(ls -A "$venv" 2>/dev/null)" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
            fail "expected $venv to be empty or an environment, got a folder with other files;" \
                "name another one: PUSHFORWARD_VENV=/path/to/folder ./go.sh"
        fi
        find_python
        say "1/3 making $venv with $python ($version)"
        "$python" -m venv --clear "$venv" || fail "$python could not make $venv; see the lines above"
    fi
    rm -f "$venv"/.ready-*
    : >"$began"
    install_torch || fail "torch could not be installed; all of what pip said is in $venv/setup.log"
    say "3/3 installing pushforward and what it needs (a minute or two)"
    pip install -c "$here/constraints.txt" -e "$here[test]" ||
        fail "the installation failed; all of what pip said is in $venv/setup.log"
    : >"$stamp"
    rm -f "$began"
    say "ready"
}

# pyright does not see an editable install's mapping from folders to packages, so it is given the
# packages as links under build/, which git ignores.
typing_links() {
    tree="$here/build/typing"
    rm -rf "$tree"
    for package in pipeline solvers solvers/kernels generative flows catalogs; do
        folder="$tree/pushforward/$package"
        [ "$package" != pipeline ] || folder="$tree/pushforward"
        mkdir -p "$folder"
        ln -s "$here/$package"/*.py "$folder/"
        touch "$folder/py.typed"
    done
}

types() {
    cd "$here"
    typing_links
    "$venv/bin/pyright" --pythonpath "$venv/bin/python"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
    run | test | check | types) ;;
    help | -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "expected run, test, check or types, got $command" ;;
esac

stamp="$venv/.ready-$({ cat "$here/pyproject.toml" "$here/constraints.txt" "$here"/solvers/kernels/*.[ch]; echo "$here"; } | cksum | cut -d' ' -f1)"
[ -e "$stamp" ] && [ -x "$venv/bin/python" ] || set_up

case $command in
    run)
        case ${1:--} in
            -*) set -- "$here/catalogs/quickstart.yaml" "$@" ;;
        esac
        exec "$venv/bin/python" -P -m pushforward.flows run "$@"
        ;;
    test)
        cd "$here"
        # One process a core, four at most, for each takes a gigabyte; a file's tests stay together
        # and share what they make. `-n 0`, given after, is one process.
        exec "$venv/bin/python" -m pytest -n auto --maxprocesses 4 --dist loadgroup \
            --no-loadscope-reorder "$@"
        ;;
    check)
        cd "$here"
        status=0 # all three, whatever one of them says
        "$venv/bin/ruff" check . || status=1
        "$venv/bin/ruff" format --check . || status=1
        types || status=1
        exit $status
        ;;
    types) types ;;
esac
