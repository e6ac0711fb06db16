#!/bin/sh
# Installs Mica Messenger as a service, or takes it away again. Started by
# `make install` and `make uninstall`; both can be repeated, and an installation
# that is there is upgraded.
#
#   PREFIX   where the program goes (/opt/micamessenger; `uninstall` finds it)
#   PYTHON   the Python that the service uses (/usr/bin/python3)
#   UNITS    where systemd finds the units (/usr/local/lib/systemd/system)
#   DESTDIR  put all files below it, as for a package: makes no user, and tells
#            systemd nothing
set -eu
umask 022
# Packages elsewhere must not count as installed in the new environment.
unset PYTHONPATH PYTHONHOME

GIVEN_PREFIX=${PREFIX:-}
PREFIX=${PREFIX:-/opt/micamessenger}
PYTHON=${PYTHON:-/usr/bin/python3}
UNITS=${UNITS:-/usr/local/lib/systemd/system}
DESTDIR=${DESTDIR:-}

USER_NAME=micamessenger
CONFIG=/etc/mica.yaml
CERTIFICATES=/etc/micamessenger
STORE=/var/lib/micamessenger
COMMAND=/usr/local/bin/micamessenger
COMPLETION=/usr/local/share/bash-completion/completions/micamessenger
SOURCE=$(cd "$(dirname "$0")/.." && pwd -P)

say() {
    printf '%s\n' "$*"
}

refuse() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

systemd_runs() {
    [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]
}

# Says in which of the directories that the service does not see a path lies.
hidden() {
    for directory in /root /home /run/user /tmp /var/tmp; do
        case $1/ in
            "$directory"/*) say "$directory"; return ;;
        esac
    done
}

check() {
    [ "$(id -u)" = 0 ] || [ -n "$DESTDIR" ] || refuse "must be root: sudo make $1"
    case $DESTDIR in
        '' | /*) ;;
        *) refuse "DESTDIR must be an absolute path: $DESTDIR" ;;
    esac
    case $PREFIX in
        /*[!/]) ;;
        *) refuse "PREFIX must be an absolute path below /: $PREFIX" ;;
    esac
    case $SOURCE/ in
        "$DESTDIR$PREFIX"/*)
            refuse "this checkout lies where the program goes: move it elsewhere," \
                "such as /usr/local/src/micamessenger, or give another PREFIX" ;;
    esac
}

check_python() {
    where=$(hidden "$PREFIX")
    [ -z "$where" ] ||
        refuse "the service may not look into $where: give a PREFIX elsewhere"
    command -v "$PYTHON" >/dev/null || refuse "no such Python: $PYTHON"
    # Where it is, and where what belongs to it is, without any link.
    found=$("$PYTHON" -c '
import os, sys
print(os.path.realpath(sys.executable))
print(os.path.realpath(sys.base_prefix))
') || refuse "$PYTHON does not run"
    for path in $found; do
        where=$(hidden "$path")
        [ -z "$where" ] ||
            refuse "the service may not look into $where, where $PYTHON is ($path):" \
                "give a Python of the system's, as in PYTHON=/usr/bin/python3"
    done
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        refuse "$PYTHON is older than 3.10"
    "$PYTHON" -c 'import ensurepip, sqlite3, venv' 2>/dev/null ||
        refuse "$PYTHON can make no environment: apt install python3-venv"
    "$PYTHON" -c 'import sqlite3, sys; sys.exit(sqlite3.sqlite_version_info < (3, 37))' ||
        refuse "the SQLite of $PYTHON is older than 3.37"
}

make_user() {
    getent passwd "$USER_NAME" >/dev/null && return
    say "making the user $USER_NAME"
    useradd --system --user-group --home-dir "$STORE" --no-create-home \
        --shell /usr/sbin/nologin "$USER_NAME"
}

# Makes the environment beside the one that may be there, and changes them only
# when it is whole.
make_environment() {
    say "making the environment $PREFIX/.venv"
    new=$DESTDIR$PREFIX/.venv.new
    rm -rf "$new"
    "$PYTHON" -m venv "$new"
    # From a copy: a build leaves files, and may take up those of another one.
    copy=$(mktemp -d)
    trap 'rm -rf "$copy" "$new"' EXIT
    (
        cd "$SOURCE"
        cp -R micamsgr twisted setup.cfg pyproject.toml README.md LICENSE "$copy"
    )
    "$new/bin/python" -m pip --disable-pip-version-check install --quiet \
        --no-compile --no-warn-script-location "$copy"
    # twistd looks for its plugins' cache, which the service may not write.
    (cd / && "$new/bin/python" -B -c '
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
assert "micamessenger" in [it.tapname for it in getPlugins(IServiceMaker)]
') || refuse "twistd does not find micamessenger in the new environment"
    # Scripts name the Python of the directory in which they were made, with a
    # shell between where that name is too long for the kernel.
    long="1{/^#!\/bin\/sh\$/{N;N;s|.*'''exec' .*|#!$new/bin/python|}}"
    grep -lIr --exclude=python* -- "$new" "$new/bin" "$new/pyvenv.cfg" |
        while read -r file; do
            sed -i -e "$long" -e "s|$new|$PREFIX/.venv|g" "$file"
        done
    # All but what is needed only here.
    "$new/bin/python" -m compileall -q -s "$new" -p "$PREFIX/.venv" \
        -x '/(pip|setuptools|pkg_resources)/' "$new/lib" || true
    # Lest a loss of power leaves neither.
    sync
    rm -rf "$DESTDIR$PREFIX/.venv.old"
    [ ! -e "$DESTDIR$PREFIX/.venv" ] ||
        mv "$DESTDIR$PREFIX/.venv" "$DESTDIR$PREFIX/.venv.old"
    mv "$new" "$DESTDIR$PREFIX/.venv"
    sync
    rm -rf "$DESTDIR$PREFIX/.venv.old" "$copy"
    trap - EXIT
}

copy_documents() {
    rm -rf "$DESTDIR$PREFIX/docs" "$DESTDIR$PREFIX/etc"
    install -d "$DESTDIR$PREFIX/docs" "$DESTDIR$PREFIX/etc"
    cp -R "$SOURCE/docs/." "$DESTDIR$PREFIX/docs"
    cp -R "$SOURCE/etc/." "$DESTDIR$PREFIX/etc"
    rm -f "$DESTDIR$PREFIX"/etc/*.db* "$DESTDIR$PREFIX/etc/install.sh"
    install -m 644 "$SOURCE/README.md" "$SOURCE/CHANGELOG.md" "$SOURCE/LICENSE" \
        "$DESTDIR$PREFIX"
    chmod -R u=rwX,go=rX "$DESTDIR$PREFIX/docs" "$DESTDIR$PREFIX/etc"
}

copy_units() {
    install -d "$DESTDIR$UNITS"
    for unit in micamessenger.service micamessenger.socket; do
        sed "s|/opt/micamessenger|$PREFIX|g" "$SOURCE/etc/$unit" > "$DESTDIR$UNITS/$unit"
        chmod 644 "$DESTDIR$UNITS/$unit"
    done
    if systemd_runs; then
        systemctl daemon-reload
    fi
}

# Says of which PREFIX the command is that is there; nothing: it is not ours.
prefix_of_command() {
    sed -n 's|^exec \(/.*\)/\.venv/bin/micamessenger "$@"$|\1|p' \
        "$DESTDIR$COMMAND" 2>/dev/null || true
}

prefix_of_unit() {
    sed -n 's|^ExecStart=\(/.*\)/\.venv/bin/twistd .*|\1|p' \
        "$DESTDIR$UNITS/micamessenger.service" 2>/dev/null || true
}

# The command, which knows what the service's files are.
make_command() {
    if [ -e "$DESTDIR$COMMAND" ] && [ -z "$(prefix_of_command)" ]; then
        say "$COMMAND is another program, and stays"
        return
    fi
    install -d "$DESTDIR$(dirname "$COMMAND")"
    cat > "$DESTDIR$COMMAND" <<END
#!/bin/sh
# Looks at the service's files, unless told otherwise.
export MICA_CONFIG="\${MICA_CONFIG:-$CONFIG}"
export STATE_DIRECTORY="\${STATE_DIRECTORY:-$STORE}"
exec $PREFIX/.venv/bin/micamessenger "\$@"
END
    chmod 755 "$DESTDIR$COMMAND"
}

copy_completion() {
    install -D -m 644 "$SOURCE/etc/completion/micamessenger" "$DESTDIR$COMPLETION"
}

make_configuration() {
    if [ -n "$DESTDIR" ]; then
        [ -e "$DESTDIR$CONFIG" ] ||
            install -D -m 640 "$SOURCE/etc/mica.yaml" "$DESTDIR$CONFIG"
        return
    fi
    install -d -m 750 -o root -g "$USER_NAME" "$CERTIFICATES"
    if [ -e "$CONFIG" ]; then
        say "$CONFIG is there, and stays as it is"
    else
        install -m 640 -o root -g "$USER_NAME" "$SOURCE/etc/mica.yaml" "$CONFIG"
    fi
}

what_next() {
    if [ -n "$DESTDIR" ]; then
        say "installed below $DESTDIR; the user $USER_NAME is still to be made"
    elif [ "$1" = yes ]; then
        say "upgraded; docs/operating.md and CHANGELOG.md are in $PREFIX. Now:"
        say "    systemctl restart micamessenger"
    else
        say "installed. Now:"
        say "  1. get a certificate, as $PREFIX/docs/operating.md says, or let a web"
        say "     server before it do TLS ($PREFIX/etc/nginx.conf.example)"
        say "  2. micamessenger setup, which asks for the rest and goes on to a live"
        say "     Page; or write your tokens into $CONFIG, and:"
        say "  3. systemctl enable --now micamessenger.socket micamessenger.service"
        say "     (without tls: in it, micamessenger.service alone)"
        say "  4. journalctl -u micamessenger"
    fi
    if [ -z "$DESTDIR" ] && ! systemd_runs; then
        say "systemd does not run here, so it was told nothing. By hand:"
        say "    mkdir -m 700 $STORE && chown $USER_NAME: $STORE"
        say "    cd $STORE && setpriv --reuid=$USER_NAME --regid=$USER_NAME" \
            "--clear-groups --no-new-privs env STATE_DIRECTORY=$STORE" \
            "$PREFIX/.venv/bin/twistd -n micamessenger --config $CONFIG"
    fi
}

install_all() {
    check install
    check_python
    there=no
    [ ! -e "$DESTDIR$PREFIX/.venv" ] || there=yes
    [ -n "$DESTDIR" ] || make_user
    install -d -m 755 "$DESTDIR$PREFIX"
    make_environment
    copy_documents
    copy_units
    make_command
    copy_completion
    make_configuration
    what_next "$there"
}

# Takes PREFIX from what is installed, and nothing else for it.
find_prefix() {
    found=$(prefix_of_unit)
    found=${found:-$(prefix_of_command)}
    [ -n "$found" ] && [ "$found" != "$PREFIX" ] || return 0
    [ -z "$GIVEN_PREFIX" ] ||
        refuse "it is installed in $found: make uninstall PREFIX=$found"
    PREFIX=$found
}

uninstall_all() {
    check uninstall
    find_prefix
    check uninstall
    if systemd_runs; then
        systemctl disable --now micamessenger.socket micamessenger.service || true
    fi
    rm -f "$DESTDIR$UNITS/micamessenger.service" "$DESTDIR$UNITS/micamessenger.socket" \
        "$DESTDIR/etc/systemd/system/multi-user.target.wants/micamessenger.service" \
        "$DESTDIR/etc/systemd/system/sockets.target.wants/micamessenger.socket" \
        "$DESTDIR$COMPLETION"
    if [ "$(prefix_of_command)" = "$PREFIX" ]; then
        rm -f "$DESTDIR$COMMAND"
    elif [ -e "$DESTDIR$COMMAND" ]; then
        say "$COMMAND is another program, and stays"
    fi
    for name in .venv .venv.new .venv.old docs etc README.md CHANGELOG.md LICENSE; do
        rm -rf "${DESTDIR}${PREFIX:?}/$name"
    done
    [ ! -d "$DESTDIR$PREFIX" ] || rmdir --ignore-fail-on-non-empty "$DESTDIR$PREFIX"
    if systemd_runs; then
        systemctl daemon-reload
    fi
    [ -n "$DESTDIR" ] && return
    say "uninstalled from $PREFIX. What is yours stays: $CONFIG, $CERTIFICATES,"
    say "$STORE, and the user $USER_NAME. To delete that, too, with all that people wrote:"
    say "    rm -r $CONFIG $CERTIFICATES $STORE; userdel $USER_NAME"
}

case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) refuse "expected install or uninstall" ;;
esac
