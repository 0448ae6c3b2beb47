#!/bin/sh
# Installs kpcn from this folder. No network is used.
#
#   ./install.sh /opt/kpcn                     an environment of its own; then: /opt/kpcn/bin/kpcn
#   PYTHON=/usr/bin/python3.11 ./install.sh /opt/kpcn
#
# What follows the folder goes to pip.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ]; then
    echo "Name a folder to install to: $0 /opt/kpcn" >&2
    exit 2
fi
target=$1
shift
python=${PYTHON:-python3}
if [ -e "$target" ]; then
    echo "$target: exists already. Name another folder, or remove it." >&2
    exit 1
fi
if ! (cd "$here" && sha256sum --check --quiet --strict SHA256SUMS); then
    echo "$here: files are missing or damaged; see above. Copy the bundle again." >&2
    exit 1
fi
if ! "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '@PYTHON@')"; then
    echo "$python: expected Python @PYTHON@, for which the bundle was made. Set PYTHON." >&2
    exit 1
fi
trap 'rm -rf "$target"; echo "Not installed; $target was removed." >&2' EXIT
"$python" -m venv "$target"
"$target/bin/python" -m pip --isolated --disable-pip-version-check install --quiet \
    --no-index --find-links "$here/wheels" "$@" '@REQUIREMENT@'
"$target/bin/kpcn" --version
trap - EXIT
echo "Installed. What works on this machine: $target/bin/kpcn doctor"
