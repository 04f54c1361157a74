#!/usr/bin/env bash
# Builds the PgBouncer of Debian's stable release, for Debians whose own is older than 1.21, which does not track prepared
# statements: `PGBOUNCER=$(tools/pgbouncer.sh) npm test` tests both. Needs apt-get, a C compiler, make and libevent-dev.
# Prints the path of the program, which stays in node_modules/.cache. Installs nothing.
set -euo pipefail
home="$(cd "$(dirname "$0")/.." && pwd)/node_modules/.cache/pgbouncer"
program="$home/source/pgbouncer"

if [ ! -x "$program" ]; then
  rm -rf "$home"
  mkdir -p "$home"/{lists,archives}/partial "$home/source"
  cd "$home"
  exec 3>&2
  trap '[ $? = 0 ] || tail -n 5 "$home/log" >&3' EXIT
  {
    # The mirror that this machine uses anyway.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | head -n 1)
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror stable main" >sources.list
    apt=(-o "Dir::Etc::SourceList=$home/sources.list" -o Dir::Etc::SourceParts=/dev/null
      -o "Dir::State::Lists=$home/lists" -o "Dir::Cache::Archives=$home/archives"
      -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
    apt-get "${apt[@]}" update
    apt-get "${apt[@]}" source --download-only pgbouncer
    tar --extract --file pgbouncer_*.orig.tar.* --directory source --strip-components 1
    rm -rf lists archives
    cd source
    ./configure --without-openssl --without-cares
    make -j2 pgbouncer
  } >"$home/log" 2>&1
fi
echo "$program"
