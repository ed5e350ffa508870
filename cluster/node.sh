#!/usr/bin/env bash
# What a cluster file does on every node, in one place. The cluster files mount it beside the
# package and its lock files.
#
#   node.sh install NAME=VALUE ...   the locked packages, this package, the login environment
#   node.sh stop ADDRESS             end the Ray processes of this user that belong to ADDRESS
#   node.sh end_together ADDRESS     once their raylet has ended, end the others, too
#
# install is safe to repeat. VALUE may contain $HOME, $NODE_IP and the like: it is expanded when a
# shell starts, not when it is written.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python_version=3.11 # the same on every node: Ray refuses to mix minor versions

find_uv() {
  export PATH="$PATH:$HOME/.local/bin:$here/.uv/bin"
  command -v uv >/dev/null && return
  python3 -m venv "$here/.uv" || {
    echo "node.sh: install uv, or python3 with venv (apt-get install python3-venv)" >&2
    exit 1
  }
  "$here/.uv/bin/pip" install --quiet uv
}

# The launcher runs every command as `bash --login -c -i 'source ~/.bashrc; ...'`. Only shells of
# that kind ($- contains c) get our environment; people who log in keep their own python.
write_environment() {
  {
    cat <<EOT
case ":\$PATH:" in *":$here/.venv/bin:"*) ;; *) export PATH="$here/.venv/bin:\$PATH" ;; esac
# The address by which the launcher reached this node is the one it has in the cluster.
NODE_IP=\$(echo "\${SSH_CONNECTION:-}" | cut -d' ' -f3)
# gloo and NCCL take the interface of that address. Left to themselves they look up the host name,
# which on Debian and Ubuntu is 127.0.1.1.
NODE_INTERFACE=\$(ip -o address show to "\${NODE_IP:-none}" 2>/dev/null | awk 'NR == 1 {print \$2}')
export NODE_IP GLOO_SOCKET_IFNAME=\$NODE_INTERFACE NCCL_SOCKET_IFNAME=\$NODE_INTERFACE
export RAY_AUTH_MODE=token
EOT
    local setting
    for setting in "$@"; do
      printf 'export %s="%s"\n' "${setting%%=*}" "${setting#*=}"
    done
  } >"$here/environment.sh"
  local line="[[ \$- != *c* ]] || . '$here/environment.sh' # audio-ablation-orchestrator"
  touch "$HOME/.bashrc"
  grep -qxF "$line" "$HOME/.bashrc" || echo "$line" >>"$HOME/.bashrc"
}

install() {
  find_uv
  local python="$here/.venv/bin/python"
  "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$python_version')" 2>/dev/null ||
    uv venv --quiet --clear --python "$python_version" "$here/.venv"
  uv pip sync --quiet --python "$python" --require-hashes "$here"/*.lock
  # setuptools comes from the lock, so nothing is fetched to build.
  uv pip install --quiet --python "$python" --no-deps --no-build-isolation \
    --reinstall-package audio-ablation-orchestrator "$here"
  [[ ! -e $HOME/.ray/auth_token ]] || chmod 600 "$HOME/.ray/auth_token"
  write_environment "$@"
}

# `ray stop` would end every Ray process that this user may signal, other clusters' too. The
# processes of a cluster carry its address; the workers they started end with them.
pattern() {
  local ip=${1%:*} port=${1##*:}
  echo "gcs-address=$ip:$port( |$)|gcs_server_port=$port .*node-ip-address=$ip( |$)"
}

stop() {
  local ours
  ours=$(pattern "$1")
  pkill -u "$(id -u)" -f -- "$ours" || return 0
  for _ in {1..50}; do
    pgrep -u "$(id -u)" -f -- "$ours" >/dev/null || return 0
    sleep 0.2
  done
  pkill -KILL -u "$(id -u)" -f -- "$ours" || true
}

# `ray down` stops the head alone. A worker's raylet ends a minute later, its log monitor never.
end_together() {
  local raylet pids
  raylet=$(pgrep -u "$(id -u)" -f -- "/raylet .*--gcs-address=$1( |$)")
  mapfile -t pids < <(pgrep -u "$(id -u)" -f -- "$(pattern "$1")")
  # shellcheck disable=SC2016
  setsid bash -c 'tail --pid="$1" -f /dev/null; kill "${@:2}"' together \
    "$raylet" "${pids[@]}" </dev/null &>/dev/null &
}

command=${1:?install, stop or end_together}
shift
"$command" "$@"
